"""Logs of pods into the archive while they are written, one stream per attempt, and old ones out of it.

Nothing here keeps a run from running: a store or an API server that is away is waited for, and what is not read
meanwhile is read afterwards, as long as the node has it.
"""

import asyncio
import contextlib
import heapq
import itertools
import logging
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from ingestion_operator.errors import ClusterError, NotFound, StoreError
from ingestion_operator.logs.layout import AttemptKey, attempt_of
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.logs.retention import sweep
from ingestion_operator.logs.writer import SegmentWriter
from ingestion_operator.ports import Clock, LogFollower, LogStore
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runtime.json_logging import about
from ingestion_operator.runtime.thread_pool import WatchedThreads

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_STREAMS: Final = 200
"""Logs followed at a time; the others wait, oldest first. A quiet one takes 0.3 MiB, most of it for TLS; one that
writes as fast as it can while the store takes nothing 0.9 MiB, of which 256 KiB are text: 200 of those 175 MiB."""

FLUSH_SECONDS: Final = 10.0
"""How old a line becomes before it is written. Until then it is read from its pod, also after a restart."""

STOP_SECONDS: Final = 10.0
"""How long the last flush may take when the operator ends."""

_FIRST_PAUSE_SECONDS: Final = 0.5
_LAST_PAUSE_SECONDS: Final = 30.0
_WARNING_SECONDS: Final = 60.0
_GONE: Final = "the end of this log may be missing: its pod was gone before it was read to the end"
_MISSING_SECONDS: Final = 60.0
"""How long a log may be nowhere before its pod is taken to be gone though no watch said so."""

MAX_DONE: Final = 20_000
"""Pods whose logs are known to be complete, without a read of the store: 2 MiB. The oldest are forgotten first, since
no event comes for a pod that goes while the watch of pods is cut."""

_STORE_THREADS: Final = 4
_COMPLAINTS: Final = 5
"""How often the kubelet may fail to serve the log of a container that has ended, before that is taken as final."""

_DAY_SECONDS: Final = 24 * 3600.0
_FIRST_SWEEP_SECONDS: Final = 600.0


@dataclass
class _Attempt:
    """A container whose log is to be followed."""

    key: AttemptKey
    begun: datetime
    has_ended: bool = False
    is_gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class _Absence:
    """How long a log has been nowhere. A kubelet that has just started says so of all its pods, until it knows them."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self) -> float:
        """Return the time since the first call, 0 at that."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since


class LogArchiver:
    """Follows every attempt whose container has started and whose log is not complete in the archive.

    Belongs to one event loop; `observe` and `forget` are called from it.
    """

    def __init__(
        self,
        store: LogStore,
        follower: LogFollower,
        clock: Clock,
        retention: Callable[[], timedelta],
        *,
        may_write: Callable[[], bool] = lambda: True,
        max_streams: int = MAX_STREAMS,
        max_done: int = MAX_DONE,
        flush_seconds: float = FLUSH_SECONDS,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
        missing_seconds: float = _MISSING_SECONDS,
    ) -> None:
        self._store = store
        self._reader = ArchiveReader(store)
        self._follower = follower
        self._clock = clock
        self._retention = retention
        self._may_write = may_write
        self._max_streams = max_streams
        self._max_done = max_done
        self._flush_seconds = flush_seconds
        self._first_pause_seconds = first_pause_seconds
        self._missing_seconds = missing_seconds
        self.threads = WatchedThreads(_STORE_THREADS, "archive")
        self._attempts: dict[str, _Attempt] = {}
        self._waiting: list[tuple[datetime, int, str]] = []
        self._order = itertools.count()
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._done: dict[str, None] = {}
        self._is_stopping = False
        self._store_troubles, self._stream_troubles = _RareWarning(), _RareWarning()

    @property
    def streams(self) -> int:
        """How many logs are followed now."""
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """How many wait for one of those to end."""
        return len(self._waiting)

    def observe(self, pod: Pod) -> None:
        """Follow the log of a pod that exists, from the start of its container on."""
        attempt = self._attempts.get(pod.uid)
        if attempt is None:
            key, begun = attempt_of(pod), pod.start_time
            if pod.uid in self._done or key is None or begun is None:
                return
            attempt = self._attempts[pod.uid] = _Attempt(key, begun)
            heapq.heappush(self._waiting, (begun, next(self._order), pod.uid))
            self._start_waiting()
        if pod.is_finished and not attempt.has_ended:
            attempt.has_ended = True
            attempt.changed.set()

    def forget(self, pod: Pod) -> None:
        """Read what is left of the log of a pod that has gone."""
        self._done.pop(pod.uid, None)
        if (attempt := self._attempts.get(pod.uid)) is not None:
            attempt.is_gone = True
            attempt.changed.set()

    async def run(self) -> None:
        """Delete what is older than the retention, daily, until cancelled; then write what has been read."""
        try:
            await asyncio.sleep(random.uniform(0, _FIRST_SWEEP_SECONDS))  # noqa: S311  jitter
            while True:
                await self._sweep()
                await asyncio.sleep(_DAY_SECONDS * random.uniform(0.95, 1.05))  # noqa: S311  jitter
        finally:
            await self._stop()

    async def _sweep(self) -> None:
        retention = self._retention()
        try:
            since = self._clock.now() - retention
            swept = await asyncio.to_thread(sweep, self._store, since, goes_on=lambda: not self._is_stopping)
        except Exception as error:  # noqa: BLE001  whatever the store does, runs go on; tomorrow is another try
            _logger.warning("Old logs stay until tomorrow: %s", error)
        else:
            _logger.info(
                "Logs older than %s deleted: %d runs, %d objects, %d bytes",
                retention, swept.runs, swept.objects, swept.size,
            )  # fmt: skip

    async def _stop(self) -> None:
        self._is_stopping = True  # the process waits for the thread of a sweep
        streams = list(self._streams.values())
        self._waiting.clear()
        for _ in range(2):  # the second time ends flushes that take too long
            for stream in streams:
                stream.cancel()
            if streams:
                await asyncio.wait(streams, timeout=STOP_SECONDS)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._streams) < self._max_streams:
            _, _, uid = heapq.heappop(self._waiting)
            run = self._attempts[uid].key.run
            with about(namespace=run.namespace, pipeline=run.pipeline, run=run.run_id):
                stream = self._streams[uid] = asyncio.create_task(self._archive(self._attempts[uid]))
            stream.add_done_callback(partial(self._ended, uid))

    def _ended(self, uid: str, stream: asyncio.Task[None]) -> None:
        del self._streams[uid]
        attempt = self._attempts.pop(uid)
        if not stream.cancelled():
            if not attempt.is_gone:
                self._remember(uid)
            self._start_waiting()

    def _remember(self, uid: str) -> None:
        self._done[uid] = None
        if len(self._done) > self._max_done:
            del self._done[next(iter(self._done))]

    async def _archive(self, attempt: _Attempt) -> None:
        failures = 0
        while True:
            try:
                await self._archive_from_where_it_stands(attempt)
            except Exception:
                # A mistake in here: what is written is right, and another try starts from that.
                failures += 1
                _logger.exception("The log of %s is not archived yet", attempt.key.folder)
                await asyncio.sleep(self._pause_seconds(failures))
            else:
                return

    async def _archive_from_where_it_stands(self, attempt: _Attempt) -> None:
        log = await self._stored(partial(self._reader.find, attempt.key))
        if log.is_complete:
            return
        writer = SegmentWriter(self._store, attempt.key, log, begun=attempt.begun)
        try:
            await self._read_to_the_end(attempt, writer)
            await self._stored(partial(writer.flush, end=True))
        except asyncio.CancelledError:
            if self._may_write():
                with contextlib.suppress(StoreError):
                    await self._in_thread(writer.flush)
            raise

    async def _read_to_the_end(self, attempt: _Attempt, writer: SegmentWriter) -> None:
        """Read over any number of connections, until the container has ended and nothing is left, or it is gone."""
        absence, failures, was_drained = _Absence(), 0, False
        while True:
            attempt.changed.clear()
            has_ended, place = attempt.has_ended, writer.cursor.position
            try:
                await self._drain(attempt, writer, follow=not has_ended)
            except NotFound:
                failures = failures if absence.seconds() else 0
                if attempt.is_gone or absence.seconds() >= self._missing_seconds:
                    _say(writer, "" if was_drained else _GONE)
                    return
            except ClusterError as error:
                absence, was_drained = _Absence(), False
                if failures:
                    self._stream_troubles.warn(f"the log of {attempt.key.folder} cannot be followed: {error}")
            else:
                complaint = writer.cursor.complaint
                absence, was_drained = _Absence(), not complaint
                if has_ended and (was_drained or failures >= _COMPLAINTS):
                    _say(writer, complaint and f"the end of this log cannot be read: {complaint}")
                    return
            failures = 0 if writer.cursor.position != place else failures + 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(attempt.changed.wait(), self._pause_seconds(failures))

    async def _drain(self, attempt: _Attempt, writer: SegmentWriter, *, follow: bool) -> None:
        """Read one connection to its end; while the store is away nothing is read."""
        loop = asyncio.get_running_loop()
        writer.cursor.begin()
        key = attempt.key
        since = writer.cursor.position.since
        stream = self._follower.stream(key.run.namespace, key.pod, since=since, follow=follow)
        piece: asyncio.Future[bytes | None] | None = None
        due = loop.time() + self._flush_seconds
        try:
            while True:
                piece = piece or asyncio.ensure_future(_next_piece(stream))
                await asyncio.wait({piece}, timeout=max(0.0, due - loop.time()))
                if piece.done():
                    chunk, piece = piece.result(), None
                    if chunk is None:
                        return
                    writer.feed(chunk)
                is_due = due <= loop.time()
                if writer.is_full or (is_due and writer.has_pending):
                    await self._stored(writer.flush)
                if is_due or not writer.has_pending:
                    due = loop.time() + self._flush_seconds
        finally:
            if piece is not None:
                piece.cancel()
                await asyncio.wait({piece})
            await stream.aclose()

    async def _stored(self, call: Callable[[], _T]) -> _T:
        """Let the store do something, as often as it takes."""
        failures = 0
        while True:
            if self._may_write():
                try:
                    return await self._in_thread(call)
                except StoreError as error:
                    failures += 1
                    self._store_troubles.warn(f"logs wait for their archive: {error}")
            # Not among the lines above: the error would keep the text of the call alive meanwhile.
            await asyncio.sleep(self._pause_seconds(failures))

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, _without_frames, call)

    def _pause_seconds(self, failures: int) -> float:
        longest = min(_LAST_PAUSE_SECONDS, self._first_pause_seconds * 2.0 ** min(failures, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter


def _say(writer: SegmentWriter, note: str | None) -> None:
    if note:
        writer.say(note)


def _without_frames(call: Callable[[], _T]) -> _T:
    """Call it; an error does not keep what its frames hold, a segment's text, until the event loop has time for it."""
    try:
        return call()
    except StoreError as error:
        traceback.clear_frames(error.__traceback__)
        raise


async def _next_piece(stream: Any) -> bytes | None:
    return await anext(stream, None)


class _RareWarning:
    """A warning a minute, however many there are."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unsaid = 0

    def warn(self, text: str) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            self._unsaid += 1
            return
        _logger.warning("%s%s", text[:1].upper() + text[1:], f" ({self._unsaid} more since)" if self._unsaid else "")
        self._next, self._unsaid = now + _WARNING_SECONDS, 0
