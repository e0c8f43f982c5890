"""A bounded, coalescing queue of pipelines to look at.

However many events arrive for a pipeline, it is looked at once after they settle, by one worker at a time. A
failed look is repeated with growing, jittered pauses; a look that asks to be repeated later is, from the one
clock loop here. There are no timers per object.

There are two lanes. Pipelines of which a run has just changed go before all others: a run that waits for its
admission must not wait for thousands of pipelines that were applied in the same minute.
"""

import asyncio
import contextlib
import heapq
import logging
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from ingestion_operator.errors import ClusterError, Conflict
from ingestion_operator.log_lines import about
from ingestion_operator.ports import Clock
from ingestion_operator.refresh import PipelineKey
from ingestion_operator.threads import WatchedThreads

_logger = logging.getLogger(__name__)

WORKERS: Final = 16
_SETTLE_SECONDS: Final = 0.1
_FIRST_RETRY_SECONDS: Final = 0.5
_LAST_RETRY_SECONDS: Final = 60.0
_ROUND_SECONDS: Final = 30.0
_FEW_ENTRIES: Final = 64
"""Not worth tidying: else the marks of one pipeline would do so every other time."""

_AT_ITS_END: Final = float("-inf")
"""When a pipeline is due that was marked while it is being looked at."""


class _Due(NamedTuple):
    """When to look at a pipeline; the smaller one stands."""

    is_patient: bool
    moment: float


_NEVER: Final = _Due(True, float("inf"))

Look = Callable[[PipelineKey, list[dict[str, Any]]], datetime | None]


class RefreshQueue:
    """Calls `look(key, observed pods)` in worker threads for every pipeline that was marked."""

    def __init__(self, look: Look, clock: Clock, beat: Callable[[], None] = lambda: None) -> None:
        """Let `beat` know whenever the queue's loop comes round, which it does every half minute at least."""
        self._look = look
        self._beat = beat
        self._clock = clock
        self.threads = WatchedThreads(WORKERS, "refresh")
        self._due: dict[PipelineKey, _Due] = {}
        self._lanes: dict[bool, list[tuple[float, PipelineKey]]] = {True: [], False: []}
        """What is urgent, and what is not; each the earliest first, among entries that do not count any more."""
        self._pods: defaultdict[PipelineKey, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._failures: dict[PipelineKey, int] = {}
        self._busy: dict[PipelineKey, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many pipelines are due by now and are not being looked at."""
        now = asyncio.get_running_loop().time()
        return sum(due.moment <= now for due in self._due.values())

    @property
    def busy(self) -> int:
        """How many pipelines are being looked at."""
        return len(self._busy)

    def mark(
        self,
        key: PipelineKey,
        *,
        pod: dict[str, Any] | None = None,
        after: float = _SETTLE_SECONDS,
        is_urgent: bool = False,
    ) -> None:
        """Ask for a look at the pipeline within `after` seconds; earlier and more urgent requests stand."""
        if pod is not None:
            self._pods[key][pod["metadata"]["name"]] = pod
        wanted = _Due(not is_urgent, asyncio.get_running_loop().time() + after)
        if wanted < self._due.get(key, _NEVER):
            self._due[key] = wanted
            heapq.heappush(self._lanes[is_urgent], (wanted.moment, key))
            self._tidy(is_urgent)
            self._changed.set()

    def forget(self, key: PipelineKey) -> None:
        """Drop a pipeline that is gone."""
        self._due.pop(key, None)
        self._pods.pop(key, None)
        self._failures.pop(key, None)

    def _tidy(self, is_urgent: bool) -> None:
        """Leave out what was superseded, once that is most: what was due in a year would stay for a year."""
        if len(self._lanes[is_urgent]) > 2 * len(self._due) + _FEW_ENTRIES:
            mine = ((due.moment, key) for key, due in self._due.items() if due.is_patient is not is_urgent)
            self._lanes[is_urgent] = [entry for entry in mine if entry[0] != _AT_ITS_END]
            heapq.heapify(self._lanes[is_urgent])

    async def run(self) -> None:
        """Work until cancelled; looks that are under way then come to their end."""
        try:
            while True:
                self._beat()
                pause = self._start_due()
                # Not wait_for, which in Python 3.11 loses a cancellation that comes together with a mark.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ROUND_SECONDS if pause is None else min(pause, _ROUND_SECONDS)):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            self.threads.shutdown(wait=False)

    def _start_due(self) -> float | None:
        """Start what is due and may start; return the seconds until the next is, None if nothing but a mark can be."""
        pauses = [self._start_lane(is_urgent) for is_urgent in (True, False)]
        return min((pause for pause in pauses if pause is not None), default=None)

    def _start_lane(self, is_urgent: bool) -> float | None:
        now, heap = asyncio.get_running_loop().time(), self._lanes[is_urgent]
        while heap:
            moment, key = heap[0]
            due = self._due.get(key)
            if due != _Due(not is_urgent, moment):
                heapq.heappop(heap)  # superseded or forgotten
            elif moment > now:
                return moment - now
            elif key in self._busy:
                heapq.heappop(heap)  # marked again while being looked at: its end puts it back
                self._due[key] = due._replace(moment=_AT_ITS_END)
            elif len(self._busy) >= WORKERS:
                return None  # the end of a look wakes the loop
            else:
                heapq.heappop(heap)
                del self._due[key]
                self._busy[key] = asyncio.create_task(self._work(key))
        return None

    async def _work(self, key: PipelineKey) -> None:
        pods = self._pods.pop(key, {})
        try:
            with about(namespace=key.namespace, pipeline=key.name):
                again = await asyncio.get_running_loop().run_in_executor(
                    self.threads, self._look, key, list(pods.values())
                )
            self._failures.pop(key, None)
            if again is not None:
                self.mark(key, after=max(_SETTLE_SECONDS, (again - self._clock.now()).total_seconds()))
        except Exception as error:  # noqa: BLE001  whatever went wrong, the pipeline must be looked at again
            self._pods[key] = pods | self._pods.get(key, {})
            self._retry(key, error)
        finally:
            del self._busy[key]
            due = self._due.get(key)
            if due is not None and due.moment == _AT_ITS_END:
                del self._due[key]
                self.mark(key, is_urgent=not due.is_patient)
            self._changed.set()

    def _retry(self, key: PipelineKey, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)  # noqa: S311  jitter
        if isinstance(error, Conflict) and failures == 1:
            pause = _SETTLE_SECONDS
        expected = isinstance(error, ClusterError)
        _logger.log(
            logging.INFO if isinstance(error, Conflict) else logging.WARNING if expected else logging.ERROR,
            "Pipeline %s/%s: %s; next try in %.1f s",
            key.namespace,
            key.name,
            error if expected else f"unexpected {type(error).__name__}",
            pause,
            exc_info=None if expected else error,
            extra={"fields": {"namespace": key.namespace, "pipeline": key.name}},
        )
        self.mark(key, after=pause)
