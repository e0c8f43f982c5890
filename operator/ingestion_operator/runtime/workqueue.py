"""A bounded work queue of pipelines, with the semantics of client-go's.

Requests for a pipeline that come before its reconcile starts are one reconcile. One that comes while it is being
reconciled leads to another reconcile after it: no two workers ever work on one pipeline. A failed reconcile is retried
with growing, jittered delays, and a reconcile may ask for the next one at a given time; all of this waits in two heaps,
without a timer per object.

Pipelines requested with high priority start first, and keep that priority when they fail or go on at once. Where both
priorities wait, one start of four is a normal one: changes of runs come in great numbers and must not keep a new spec
waiting for ever.
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
from ingestion_operator.runtime.json_logging import about
from ingestion_operator.runtime.thread_pool import WatchedThreads

_logger = logging.getLogger(__name__)

WORKERS: Final = 16
SETTLE_SECONDS: Final = 0.1
"""Objects of one pipeline change together; so soon after the first change the others have come too."""

RETRY: Final = Backoff(first=0.5, last=60.0)
_ROUND_SECONDS: Final = 30.0
"""The dispatch loop comes round at least that often, for the sake of its heartbeat."""

_HIGH_STARTS_IN_ROW: Final = 3
_FEW_ENTRIES: Final = 64
"""Fewer are never tidied: the entries of one pipeline would cause it at every other request."""

Reconcile = Callable[[PipelineKey], datetime | None]
"""Reconciles a pipeline, in a thread, and returns when to do so again at the latest; None where only events count."""


class Priority(IntEnum):
    """Which of the pipelines that wait for a worker go first."""

    NORMAL = 0
    HIGH = 1


class QueueObserver(Protocol):
    """What metrics count. Called from any thread, without the queue's lock."""

    def added(self) -> None:
        """Count a pipeline that was requested and did not wait already (workqueue_adds_total)."""

    def retried(self) -> None:
        """Count a pipeline that waits for a retry after a failure (workqueue_retries_total)."""

    def started(self, waited: float) -> None:
        """Observe the seconds from when a reconcile was due to its start (workqueue_queue_duration_seconds)."""

    def finished(self, worked: float) -> None:
        """Observe the seconds that a reconcile took (workqueue_work_duration_seconds)."""


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
    """A pipeline with a worker."""

    priority: Priority
    begun: float
    is_forgotten: bool = False


class WorkQueue:
    """Calls `reconcile(key)` in worker threads for every pipeline that was added.

    `add`, `forget` and the properties are for any thread; `run` and `shutdown` are for one event loop.
    """

    def __init__(
        self,
        reconcile: Reconcile,
        clock: Clock,
        *,
        workers: int = WORKERS,
        settle: float = SETTLE_SECONDS,
        retry: Backoff = RETRY,
        beat: Callable[[], None] = lambda: None,
        observer: QueueObserver | None = None,
    ) -> None:
        """`settle` is the usual delay of a request in seconds; `beat` is called when the dispatch loop comes round."""
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._settle = settle
        self._retry = retry
        self._beat = beat
        self._observer = observer or _Unobserved()
        self.threads = WatchedThreads(workers, "reconcile")
        self._lock = threading.Lock()
        self._requests: dict[PipelineKey, _Request] = {}
        """What is to be reconciled, now or later: the dirty set and the delayed additions of client-go."""
        self._heaps: dict[Priority, list[tuple[float, PipelineKey]]] = {Priority.HIGH: [], Priority.NORMAL: []}
        """The requests of pipelines that no worker has, earliest first, among entries that have been superseded."""
        self._processing: dict[PipelineKey, _Processing] = {}
        self._failures: dict[PipelineKey, int] = {}
        self._high_starts = 0
        """Starts with high priority since the last normal one, while a normal one was due."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._is_woken = False
        self._is_stopping = False
        self._all_ended = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many pipelines are due by now and wait for a worker."""
        now = time.monotonic()
        with self._lock:
            return sum(due <= now and key not in self._processing for key, (_, due) in self._requests.items())

    @property
    def processing(self) -> int:
        """How many pipelines are being reconciled, by threads that really work."""
        return len(self._processing)

    def add(self, key: PipelineKey, *, after: float | None = None, priority: Priority = Priority.NORMAL) -> None:
        """Request a reconcile within `after` seconds, by default the settling time.

        Of several requests the earliest time and the highest priority count. Ignored once `shutdown` was called.
        """
        delay = self._settle if after is None else after
        with self._lock:
            is_new = self._request(key, _Request(priority, time.monotonic() + delay))
            self._wake()
        if is_new:
            self._observer.added()

    def forget(self, key: PipelineKey) -> None:
        """Drop a deleted pipeline with its requests and failures; a reconcile in progress leads to no other."""
        with self._lock:
            self._requests.pop(key, None)
            self._failures.pop(key, None)
            if (processing := self._processing.get(key)) is not None:
                processing.is_forgotten = True

    async def run(self) -> None:
        """Start reconciles until `shutdown`. Cancelled, it starts no more, but those in progress go on and count."""
        self._loop = asyncio.get_running_loop()
        while not self._is_stopping:
            self._beat()
            with self._lock:
                self._is_woken = False
            self._changed.clear()
            pause = self._start_due()
            # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_SECONDS if pause is None else min(pause, _ROUND_SECONDS)):
                    await self._changed.wait()

    async def shutdown(self, timeout: float) -> bool:  # noqa: ASYNC109  the bound of an orderly end, not of a call
        """Start nothing more, wait up to `timeout` seconds for what is in progress; return whether all has ended."""
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
        """Merge a request with the one that waits; return whether there was none."""
        waiting = self._requests.get(key)
        if self._is_stopping:
            return False
        if waiting is not None:
            wanted = _Request(max(waiting.priority, wanted.priority), min(waiting.due, wanted.due))
        if wanted != waiting:
            self._requests[key] = wanted
            if key not in self._processing:  # else the end of its reconcile does so
                self._push(key)
        return waiting is None

    def _push(self, key: PipelineKey) -> None:
        priority, due = self._requests[key]
        heapq.heappush(self._heaps[priority], (due, key))
        if len(self._heaps[priority]) > 2 * len(self._requests) + _FEW_ENTRIES:
            # Mostly superseded: what was due in a year would stay for a year.
            self._heaps[priority] = [
                (request.due, each)
                for each, request in self._requests.items()
                if request.priority is priority and each not in self._processing
            ]
            heapq.heapify(self._heaps[priority])

    def _wake(self) -> None:
        """Let the dispatch loop come round, once for however many changes."""
        if self._loop is not None and not self._is_woken:
            self._is_woken = True
            self._call(self._changed.set)

    def _call(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed while a thread went on
                self._loop.call_soon_threadsafe(callback)

    def _start_due(self) -> float | None:
        """Start what is due; return the seconds until the next request is, None if only a change leads to a start."""
        while not self._is_stopping:
            now = time.monotonic()
            with self._lock:
                heads = {priority: head for priority in Priority if (head := self._head(priority)) is not None}
                due = [priority for priority, (moment, _) in heads.items() if moment <= now]
                if not due:
                    return min((moment - now for moment, _ in heads.values()), default=None)
                if len(self._processing) >= self._workers:
                    return None  # the end of a reconcile wakes the loop
                priority = self._choose(due)
                moment, key = heapq.heappop(self._heaps[priority])
                del self._requests[key]
                self._processing[key] = _Processing(priority, now)
            self._observer.started(now - moment)
            self.threads.submit(self._process, key)
        return None

    def _head(self, priority: Priority) -> tuple[float, PipelineKey] | None:
        """Return the earliest entry that counts, after the removal of those before it that do not."""
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
        is_normals_turn = self._high_starts >= _HIGH_STARTS_IN_ROW
        self._high_starts = 0 if is_normals_turn else self._high_starts + 1
        return Priority.NORMAL if is_normals_turn else Priority.HIGH

    def _process(self, key: PipelineKey) -> None:
        """Reconcile a pipeline, in a thread."""
        follow_up: _Request | None = None
        with about(namespace=key.namespace, pipeline=key.name):
            try:
                again = self._reconcile(key)
                if again is not None:
                    delay = max(self._settle, (again - self._clock.now()).total_seconds())
                    # What is to go on at once is as urgent as what it goes on from.
                    priority = self._processing[key].priority if delay <= self._settle else Priority.NORMAL
                    follow_up = _Request(priority, time.monotonic() + delay)
                self._failures.pop(key, None)
            except BaseException as error:  # noqa: BLE001  whatever it was, the pipeline must be reconciled again
                follow_up = self._failed(key, error)
            finally:
                self._end(key, follow_up)

    def _failed(self, key: PipelineKey, error: BaseException) -> _Request | None:
        """Log a failure; return the request of the retry, None for a pipeline that was deleted meanwhile."""
        with self._lock:
            processing = self._processing[key]
            if processing.is_forgotten:
                delay = None
            else:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                is_first_conflict = isinstance(error, Conflict) and failures == 1
                delay = self._settle if is_first_conflict else self._retry.delay(failures)
        expected = isinstance(error, ClusterError)
        _logger.log(
            logging.INFO if isinstance(error, Conflict) else logging.WARNING if expected else logging.ERROR,
            "Pipeline %s/%s: %s; %s",
            key.namespace,
            key.name,
            error if expected else f"unexpected {type(error).__name__}",
            "no retry, it was deleted" if delay is None else f"next try in {delay:.1f} s",
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
                self._push(key)  # requested during the reconcile
            is_new = follow_up is not None and not processing.is_forgotten and self._request(key, follow_up)
            if self._is_stopping and not self._processing:
                self._call(self._all_ended.set)
            self._wake()
        self._observer.finished(time.monotonic() - processing.begun)
        if is_new:
            self._observer.added()
