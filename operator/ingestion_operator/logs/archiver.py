"""Copies the logs of pods into the archive while they are written, and deletes old logs from it.

There is one stream per attempt. Archiving does not block runs: while the store or the API server is unreachable the
archiver retries, and it then reads the rest of a log as long as the node has it.
"""

import asyncio
import contextlib
import heapq
import itertools
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from ingestion_operator.errors import ClusterError, NotFound, StoreError, Unavailable
from ingestion_operator.logs.layout import AttemptKey, attempt_of
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.logs.retention import sweep
from ingestion_operator.logs.writer import SegmentWriter
from ingestion_operator.ports import Clock, LogFollower, LogStore
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runtime.backoff import Backoff, spread
from ingestion_operator.runtime.json_logging import log_context
from ingestion_operator.runtime.problem_log import ProblemLog
from ingestion_operator.runtime.thread_pool import MonitoredThreadPool

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

MAX_STREAMS: Final = 200
"""Logs followed at the same time; the others wait, oldest first. An idle stream takes 0.3 MiB of memory, most of it for
TLS. A stream at full speed takes 0.9 MiB while the store accepts nothing, 256 KiB of which are text; 200 of them take
175 MiB."""

FLUSH_SECONDS: Final = 10.0
"""How long a line waits before it is written. Until then it is only in its pod, also after a restart."""

STOP_SECONDS: Final = 10.0
"""How long the last flush may take when the operator stops."""

_FIRST_PAUSE_SECONDS: Final = 0.5
_LAST_PAUSE_SECONDS: Final = 30.0
_GONE: Final = "the end of this log may be missing: its pod was deleted before the log was read completely"
_MISSING_SECONDS: Final = 60.0
"""How long a log may be missing before its pod counts as deleted, even without an event of the watch."""

MAX_DONE: Final = 20_000
"""Pods remembered as completely archived, which saves a read of the store: 2 MiB. The oldest are dropped first, since a
pod that is deleted while the watch of pods is interrupted causes no event."""

_STORE_THREADS: Final = 4
_END_READS: Final = 5
"""How often the kubelet may fail to serve the log of an ended container before the failure is final."""

_DAY_SECONDS: Final = 24 * 3600.0
_FIRST_SWEEP_SECONDS: Final = 600.0


@dataclass
class _Attempt:
    """A container whose log is followed."""

    key: AttemptKey
    started_at: datetime
    has_ended: bool = False
    is_gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is written to the log."""
        return self.has_ended or self.is_gone


class _Absence:
    """How long a log has been missing. A restarted kubelet reports this for all pods until it knows them."""

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self) -> float:
        """Return the time since the first call, which returns 0."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since


class LogArchiver:
    """Follows every attempt whose container has started and whose log is not complete in the archive.

    Belongs to one event loop, from which `observe` and `forget` are called.
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
        self._retry = Backoff(first_pause_seconds, _LAST_PAUSE_SECONDS)
        self._missing_seconds = missing_seconds
        self.threads = MonitoredThreadPool(_STORE_THREADS, "archive")
        self._attempts: dict[str, _Attempt] = {}
        self._waiting: list[tuple[datetime, int, str]] = []
        self._order = itertools.count()
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._done: dict[str, None] = {}
        self._is_stopping = False
        self._store_problems, self._stream_problems = ProblemLog(_logger), ProblemLog(_logger)

    @property
    def streams(self) -> int:
        """The number of logs that are followed."""
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """The number of logs that wait for one of those streams to end."""
        return len(self._waiting)

    def observe(self, pod: Pod) -> None:
        """Follow the log of an existing pod once its container has started."""
        attempt = self._attempts.get(pod.uid)
        if attempt is None:
            key, started_at = attempt_of(pod), pod.start_time
            if pod.uid in self._done or key is None or started_at is None:
                return
            attempt = self._attempts[pod.uid] = _Attempt(key, started_at)
            heapq.heappush(self._waiting, (started_at, next(self._order), pod.uid))
            self._start_waiting()
        if pod.is_finished and not attempt.has_ended:
            attempt.has_ended = True
            attempt.changed.set()

    def forget(self, pod: Pod) -> None:
        """Read the rest of the log of a deleted pod."""
        self._done.pop(pod.uid, None)
        if (attempt := self._attempts.get(pod.uid)) is not None:
            attempt.is_gone = True
            attempt.changed.set()

    async def run(self) -> None:
        """Delete logs older than the retention once a day until cancelled; then write the lines read so far."""
        try:
            await asyncio.sleep(spread(0, _FIRST_SWEEP_SECONDS))
            while True:
                await self._sweep()
                await asyncio.sleep(_DAY_SECONDS * spread(0.95, 1.05))
        finally:
            await self._stop()

    async def _sweep(self) -> None:
        retention = self._retention()
        try:
            since = self._clock.now() - retention
            swept = await asyncio.to_thread(sweep, self._store, since, may_continue=lambda: not self._is_stopping)
        except Exception as error:  # noqa: BLE001  no error of the store must end archiving; the next day retries
            _logger.warning("Old logs were not deleted, next attempt in a day: %s", error)
        else:
            _logger.info(
                "Logs older than %s deleted: %d runs, %d objects, %d bytes",
                retention, swept.runs, swept.objects, swept.size,
            )  # fmt: skip

    async def _stop(self) -> None:
        self._is_stopping = True  # ends the thread of a sweep, for which the process waits
        streams = list(self._streams.values())
        self._waiting.clear()
        for _ in range(2):  # the second time cancels flushes that take too long
            for stream in streams:
                stream.cancel()
            if streams:
                await asyncio.wait(streams, timeout=STOP_SECONDS)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._streams) < self._max_streams:
            _, _, uid = heapq.heappop(self._waiting)
            run = self._attempts[uid].key.run
            with log_context(namespace=run.namespace, pipeline=run.pipeline, run=run.run_id):
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
                await self._resume(attempt)
            except Exception:
                # An error of this program. The written segments are correct, and the next attempt continues after them.
                failures += 1
                _logger.exception("The log of %s is not archived yet", attempt.key.folder)
                await asyncio.sleep(self._pause_seconds(failures))
            else:
                return

    async def _resume(self, attempt: _Attempt) -> None:
        log = await self._with_store(partial(self._reader.find, attempt.key))
        if log.is_complete:
            return
        writer = SegmentWriter(self._store, attempt.key, log, started_at=attempt.started_at)
        try:
            await self._read_until_complete(attempt, writer)
            await self._with_store(partial(writer.flush, end=True))
        except asyncio.CancelledError:
            if self._may_write():
                with contextlib.suppress(StoreError):
                    await self._in_thread(writer.flush)
            raise

    async def _read_until_complete(self, attempt: _Attempt, writer: SegmentWriter) -> None:
        """Read over any number of connections until the container has ended and its log is read, or its pod is gone."""
        absence, failures, was_drained = _Absence(), 0, False
        while True:
            attempt.changed.clear()
            has_ended, position = attempt.has_ended, writer.cursor.position
            try:
                await self._drain(attempt, writer, follow=not has_ended)
            except NotFound:
                failures = failures if absence.seconds() else 0
                if attempt.is_gone or absence.seconds() >= self._missing_seconds:
                    _add_note(writer, "" if was_drained else _GONE)
                    return
            except ClusterError as error:
                absence, was_drained = _Absence(), False
                if failures:
                    self._stream_problems.warn(f"The log of {attempt.key.folder} cannot be followed: {error}")
            else:
                log_error = writer.cursor.error
                absence, was_drained = _Absence(), not log_error
                if has_ended and (was_drained or failures >= _END_READS):
                    _add_note(writer, log_error and f"the end of this log cannot be read: {log_error}")
                    return
            failures = 0 if writer.cursor.position != position else failures + 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(attempt.changed.wait(), self._pause_seconds(failures))

    async def _drain(self, attempt: _Attempt, writer: SegmentWriter, *, follow: bool) -> None:
        """Read one connection to its end. While the store is unreachable nothing is read.

        A connection that still follows a container after its end, and is silent, may be dead: it is left.
        """
        loop = asyncio.get_running_loop()
        writer.cursor.begin()
        key = attempt.key
        since = writer.cursor.position.since
        stream = self._follower.stream(key.run.namespace, key.pod, since=since, follow=follow)
        piece: asyncio.Future[bytes | None] | None = None
        flush_at = loop.time() + self._flush_seconds
        received_at = loop.time()
        try:
            while True:
                piece = piece or asyncio.ensure_future(_next_piece(stream))
                await asyncio.wait({piece}, timeout=max(0.0, flush_at - loop.time()))
                if piece.done():
                    chunk, piece = piece.result(), None
                    if chunk is None:
                        return
                    writer.feed(chunk)
                    received_at = loop.time()
                elif follow and attempt.is_over and received_at + self._flush_seconds <= loop.time():
                    raise Unavailable("the container has ended, and the connection is silent")
                is_flush_due = flush_at <= loop.time()
                if writer.is_full or (is_flush_due and writer.has_pending):
                    await self._with_store(writer.flush)
                if is_flush_due or not writer.has_pending:
                    flush_at = loop.time() + self._flush_seconds
        finally:
            if piece is not None:
                piece.cancel()
                await asyncio.wait({piece})
            await stream.aclose()

    async def _with_store(self, call: Callable[[], _T]) -> _T:
        """Call the store and retry until it succeeds."""
        failures = 0
        while True:
            if self._may_write():
                try:
                    return await self._in_thread(call)
                except StoreError as error:
                    failures += 1
                    self._store_problems.warn(f"Logs wait for their archive: {error}")
            # Outside of the except block: the error would keep the text of the call in memory.
            await asyncio.sleep(self._pause_seconds(failures))

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, _without_frames, call)

    def _pause_seconds(self, failures: int) -> float:
        return self._retry.delay(failures + 1)


def _add_note(writer: SegmentWriter, note: str | None) -> None:
    if note:
        writer.add_note(note)


def _without_frames(call: Callable[[], _T]) -> _T:
    """Call the store. Clear the frames of an error, which would keep the text of a segment in memory."""
    try:
        return call()
    except StoreError as error:
        traceback.clear_frames(error.__traceback__)
        raise


async def _next_piece(stream: Any) -> bytes | None:
    return await anext(stream, None)
