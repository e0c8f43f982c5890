"""A bounded work queue of pipelines, with the semantics of client-go's.

Requests for a pipeline before its reconciliation starts are merged into one. A request during the reconciliation starts
another one after it: two workers never reconcile the same pipeline. A failed reconciliation is retried with jittered
back-off, and a reconciliation may request the next one at a given time. Delayed requests wait in two heaps, without a
timer per object.

Pipelines with high priority start first, and keep the priority when they fail or are requeued immediately. If both
priorities wait, one start of four has normal priority: run changes are numerous and must not starve a new spec.
"""

import asyncio
import contextlib
import heapq
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from ingestion_operator.errors import ClusterError, Conflict
from ingestion_operator.ports import Clock
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.json_logging import log_context
from ingestion_operator.runtime.thread_pool import MonitoredThreadPool

_logger = logging.getLogger(__name__)

WORKERS: Final = 16
DEBOUNCE_SECONDS: Final = 0.1
"""Delay of a request, in which the other changes of the same pipeline arrive."""

RETRY: Final = Backoff(first=0.5, last=60.0)
_ITERATION_SECONDS: Final = 30.0
"""Maximum time between two iterations of the dispatch loop, for its heartbeat."""

_HIGH_STARTS_IN_ROW: Final = 3
_COMPACTION_MINIMUM: Final = 64
"""Smaller heaps are never compacted: few pipelines would cause it at every other request."""

Reconcile = Callable[[PipelineKey], datetime | None]
"""Reconciles a pipeline, in a thread, and returns when to requeue it at the latest; None if only events requeue it."""


class Priority(IntEnum):
    """Order of the pipelines that wait for a worker."""

    NORMAL = 0
    HIGH = 1


class QueueObserver(Protocol):
    """Receives the values for metrics. Called from any thread, without the queue's lock."""

    def added(self) -> None:
        """Count a pipeline that was added and was not waiting already (workqueue_adds_total)."""

    def retried(self) -> None:
        """Count a pipeline that waits for a retry after a failure (workqueue_retries_total)."""

    def started(self, waited: float) -> None:
        """Observe the seconds from a request's due time to its start (workqueue_queue_duration_seconds)."""

    def finished(self, worked: float) -> None:
        """Observe the seconds that a reconciliation took (workqueue_work_duration_seconds)."""


class _Unobserved:
    def added(self) -> None: ...
    def retried(self) -> None: ...
    def started(self, waited: float) -> None: ...
    def finished(self, worked: float) -> None: ...


class _Request(NamedTuple):
    priority: Priority
    due: float
    """By the monotonic clock."""


@dataclass(slots=True)
class _Processing:
    """A pipeline that a worker reconciles."""

    priority: Priority
    started_at: float
    is_forgotten: bool = False


class WorkQueue:
    """Calls `reconcile(key)` in worker threads for every pipeline that was added.

    Any thread may call `add` and `forget` and read the properties. `run` and `shutdown` belong to one event loop.
    """

    def __init__(
        self,
        reconcile: Reconcile,
        clock: Clock,
        *,
        workers: int = WORKERS,
        debounce: float = DEBOUNCE_SECONDS,
        retry: Backoff = RETRY,
        heartbeat: Callable[[], None] = lambda: None,
        observer: QueueObserver | None = None,
    ) -> None:
        """Create a queue.

        Args:
            reconcile: Reconciles one pipeline.
            clock: The current time.
            workers: Number of worker threads.
            debounce: Default delay of a request, in seconds.
            retry: Delays after failures.
            heartbeat: Called in each iteration of the dispatch loop.
            observer: Receives the values for metrics.
        """
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._debounce = debounce
        self._retry = retry
        self._heartbeat = heartbeat
        self._observer = observer or _Unobserved()
        self.threads = MonitoredThreadPool(workers, "reconcile")
        self._lock = threading.Lock()
        self._requests: dict[PipelineKey, _Request] = {}
        """Pipelines to reconcile, now or later: the dirty set and the delayed additions of client-go."""
        self._heaps: dict[Priority, list[tuple[float, PipelineKey]]] = {Priority.HIGH: [], Priority.NORMAL: []}
        """Requests of pipelines that are not being processed, earliest first; superseded entries may remain."""
        self._processing: dict[PipelineKey, _Processing] = {}
        self._failures: dict[PipelineKey, int] = {}
        self._high_starts = 0
        """High-priority starts since the last normal one, while a normal one was due."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_woken = False
        self._is_stopping = False
        self._all_ended = asyncio.Event()

    @property
    def depth(self) -> int:
        """Number of pipelines that are due and wait for a worker."""
        now = time.monotonic()
        with self._lock:
            return sum(due <= now and key not in self._processing for key, (_, due) in self._requests.items())

    @property
    def processing(self) -> int:
        """Number of pipelines that worker threads reconcile now."""
        return len(self._processing)

    def add(self, key: PipelineKey, *, after: float | None = None, priority: Priority = Priority.NORMAL) -> None:
        """Request a reconciliation within `after` seconds, by default the debounce time.

        Several requests are merged: the earliest time and the highest priority apply. Ignored after `shutdown`.
        """
        delay = self._debounce if after is None else after
        with self._lock:
            is_new = self._request(key, _Request(priority, time.monotonic() + delay))
            self._wake()
        if is_new:
            self._observer.added()

    def forget(self, key: PipelineKey) -> None:
        """Drop a deleted pipeline with its requests and failures; a reconciliation in progress requeues nothing."""
        with self._lock:
            self._requests.pop(key, None)
            self._failures.pop(key, None)
            if (processing := self._processing.get(key)) is not None:
                processing.is_forgotten = True

    async def run(self) -> None:
        """Start reconciliations until `shutdown`. When cancelled, those in progress continue."""
        self._loop = asyncio.get_running_loop()
        while not self._is_stopping:
            self._heartbeat()
            with self._lock:
                self._is_woken = False
            self._changed.clear()
            pause = self._start_due()
            # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ITERATION_SECONDS if pause is None else min(pause, _ITERATION_SECONDS)):
                    await self._changed.wait()

    async def shutdown(self, timeout: float) -> bool:  # noqa: ASYNC109  the bound of a shutdown, not of a call
        """Start no more reconciliations and wait up to `timeout` seconds; return whether all have ended."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._is_stopping = True
            self._changed.set()
            if not self._processing:
                self._all_ended.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._all_ended.wait()
        self.threads.shutdown(wait=False)
        return not self._processing

    def _request(self, key: PipelineKey, wanted: _Request) -> bool:
        """Merge a request with the one that waits; return whether none was waiting."""
        waiting = self._requests.get(key)
        if self._is_stopping:
            return False
        if waiting is not None:
            wanted = _Request(max(waiting.priority, wanted.priority), min(waiting.due, wanted.due))
        if wanted != waiting:
            self._requests[key] = wanted
            if key not in self._processing:  # else `_end` pushes it
                self._push(key)
        return waiting is None

    def _push(self, key: PipelineKey) -> None:
        priority, due = self._requests[key]
        heapq.heappush(self._heaps[priority], (due, key))
        if len(self._heaps[priority]) > 2 * len(self._requests) + _COMPACTION_MINIMUM:
            # Mostly superseded: an entry that is due in a year would stay for a year.
            self._heaps[priority] = [
                (request.due, each)
                for each, request in self._requests.items()
                if request.priority is priority and each not in self._processing
            ]
            heapq.heapify(self._heaps[priority])

    def _wake(self) -> None:
        """Wake the dispatch loop, once for any number of changes."""
        if self._loop is not None and not self._is_woken:
            self._is_woken = True
            self._call(self._changed.set)

    def _call(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed while a thread was still running
                self._loop.call_soon_threadsafe(callback)

    def _start_due(self) -> float | None:
        """Start due pipelines; return the seconds until the next one is due, None if only a change can start one."""
        while not self._is_stopping:
            now = time.monotonic()
            with self._lock:
                heads = {priority: head for priority in Priority if (head := self._head(priority)) is not None}
                due = [priority for priority, (moment, _) in heads.items() if moment <= now]
                if not due:
                    return min((moment - now for moment, _ in heads.values()), default=None)
                if len(self._processing) >= self._workers:
                    return None  # the end of a reconciliation wakes the loop
                priority = self._choose(due)
                moment, key = heapq.heappop(self._heaps[priority])
                del self._requests[key]
                self._processing[key] = _Processing(priority, now)
            self._observer.started(now - moment)
            self.threads.submit(self._process, key)
        return None

    def _head(self, priority: Priority) -> tuple[float, PipelineKey] | None:
        """Return the earliest valid entry, after removing the superseded ones before it."""
        heap = self._heaps[priority]
        while heap:
            due, key = heap[0]
            if self._requests.get(key) == (priority, due) and key not in self._processing:
                return heap[0]
            heapq.heappop(heap)
        return None

    def _choose(self, due: list[Priority]) -> Priority:
        if len(due) == 1:
            return due[0]
        starts_normal = self._high_starts >= _HIGH_STARTS_IN_ROW
        self._high_starts = 0 if starts_normal else self._high_starts + 1
        return Priority.NORMAL if starts_normal else Priority.HIGH

    def _process(self, key: PipelineKey) -> None:
        """Reconcile a pipeline, in a thread."""
        follow_up: _Request | None = None
        with log_context(namespace=key.namespace, pipeline=key.name):
            try:
                requeue_at = self._reconcile(key)
                if requeue_at is not None:
                    delay = max(self._debounce, (requeue_at - self._clock.now()).total_seconds())
                    # An immediate requeue keeps the priority of this reconciliation.
                    priority = self._processing[key].priority if delay <= self._debounce else Priority.NORMAL
                    follow_up = _Request(priority, time.monotonic() + delay)
                self._failures.pop(key, None)
            except BaseException as error:  # noqa: BLE001  any error must lead to a retry
                follow_up = self._failed(key, error)
            finally:
                self._end(key, follow_up)

    def _failed(self, key: PipelineKey, error: BaseException) -> _Request | None:
        """Log a failure; return the request of the retry, None for a pipeline that was deleted in the meantime."""
        with self._lock:
            processing = self._processing[key]
            if processing.is_forgotten:
                delay = None
            else:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                is_first_conflict = isinstance(error, Conflict) and failures == 1
                delay = self._debounce if is_first_conflict else self._retry.delay(failures)
        expected = isinstance(error, ClusterError)
        _logger.log(
            logging.INFO if isinstance(error, Conflict) else logging.WARNING if expected else logging.ERROR,
            "Pipeline %s/%s: %s; %s",
            key.namespace,
            key.name,
            error if expected else f"unexpected {type(error).__name__}",
            "no retry, it was deleted" if delay is None else f"next attempt in {delay:.1f} s",
            exc_info=None if expected else error,
        )
        if delay is None:
            return None
        self._observer.retried()
        return _Request(processing.priority, time.monotonic() + delay)

    def _end(self, key: PipelineKey, follow_up: _Request | None) -> None:
        with self._lock:
            processing = self._processing.pop(key)
            waits = key in self._requests
            if waits:
                self._push(key)  # requested during the reconciliation
            is_new = follow_up is not None and not processing.is_forgotten and self._request(key, follow_up)
            if self._is_stopping and not self._processing:
                self._call(self._all_ended.set)
            self._wake()
        self._observer.finished(time.monotonic() - processing.started_at)
        if is_new:
            self._observer.added()
