"""Keeps the objects of one kind in one scope in the store: lists them, then watches them, without end."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from ingestion_operator.cache.projections import Record
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Unavailable
from ingestion_operator.k8s.objects import Body
from ingestion_operator.ports import Kind
from ingestion_operator.runtime.backoff import Backoff, spread

_logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 500
_BATCH_SIZE: Final = 100
"""Number of objects or changes that are processed between two yields to the event loop."""

Outcome = Literal["list", "watch", "error"]
Observe = Callable[[Kind, str, Outcome, float], None]
"""Called with kind, scope, what ended (a complete list, a watch or a failed attempt) and its duration in seconds."""


class ApiReads(Protocol):
    """List and watch requests; `adapters.kube.api_session` implements them. Calls raise ClusterErrors."""

    async def page(self, kind: Kind, namespace: str, query: Mapping[str, str], *, total_seconds: float) -> Body:
        """Return a list of objects, or a page of it; an empty `namespace` means all namespaces."""

    def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, silence_seconds: float, total_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield an empty chunk once the watch is accepted, then its data in chunks of any size."""


@dataclass(frozen=True)
class Timing:
    """Timeouts and pauses, in seconds."""

    page: float = 120.0
    """For one page of a list, from the request to its last byte."""
    watch: float = 300.0
    """The timeout of a watch that is requested from the API server, varied by a fifth."""
    grace: float = 30.0
    """How much longer than requested a watch may last."""
    silence: float = 100.0
    """Maximum time without data: a bookmark arrives each minute."""
    first_pause: float = 0.5
    longest_pause: float = 10.0
    steady: float = 10.0
    """How long a watch must last to reset the back-off."""


DEFAULT_TIMING: Final = Timing()


class Reflector:
    """Lists and watches one kind in one scope. Belongs to one event loop; any thread may read its properties."""

    def __init__(
        self,
        api: ApiReads,
        kind: Kind,
        scope: str,
        label_selector: str,
        store: Store,
        *,
        observe: Observe = lambda *_: None,
        timing: Timing = DEFAULT_TIMING,
        executor: Executor | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a reflector.

        Args:
            api: Sends the requests.
            kind: The kind of the objects.
            scope: A namespace, or "" for the whole cluster.
            label_selector: An empty one selects everything.
            store: Receives the records.
            observe: Receives the outcome of each attempt.
            timing: Timeouts and pauses.
            executor: Puts a complete list into the store: twenty thousand records take 0.15 s.
            monotonic: Monotonic time in seconds.
        """
        self.kind = kind
        self.scope = scope
        self._api = api
        self._query = {"labelSelector": label_selector} if label_selector else {}
        self._store = store
        self._observe = observe
        self._timing = timing
        self._monotonic = monotonic
        self._executor = executor
        self._version: str | None = None
        """The resourceVersion from which the watch continues; None means list first."""
        self._watching: asyncio.Future[None] | None = None
        self._is_expired = False
        """Whether `relist` was called after the last list was put into the store."""
        self._pauses = 0
        self._failures = 0
        self._last_error = ""
        self._alive_at = self._attempted_at = monotonic()

    @property
    def age_seconds(self) -> float:
        """Seconds since the last data from the API server: a page of a list, an event or a bookmark."""
        return self._monotonic() - self._alive_at

    @property
    def last_attempt_seconds(self) -> float:
        """Seconds since this reflector last sent a request or read a response."""
        return self._monotonic() - self._attempted_at

    @property
    def last_error(self) -> str:
        """The error of the last attempt; empty once a watch was accepted again."""
        return self._last_error

    @property
    def failures(self) -> int:
        """Number of failed attempts since a watch was last accepted."""
        return self._failures

    async def run(self) -> None:
        """List and watch until cancelled. Raises CancelledError only."""
        self._alive_at = self._attempted_at = self._monotonic()
        while True:
            started = self._monotonic()
            try:
                if self._version is None:
                    version = await self._list()
                    self._observe(self.kind, self.scope, "list", self._monotonic() - started)
                    if self._is_expired:
                        continue
                    self._version = version
                started = self._monotonic()
                self._watching = asyncio.ensure_future(self._watch(self._version))
                await self._watching
                self._observe(self.kind, self.scope, "watch", self._monotonic() - started)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._version is not None or task is None or task.cancelling():
                    raise  # else `relist` cancelled the watch
            except Exception as error:  # noqa: BLE001  after any error the next list may succeed
                self._version = None
                self._report(error)
                await self._pause(error)
                continue
            if self._monotonic() - started < self._timing.steady:
                await self._pause(None)  # watches that end immediately must not become a busy loop

    def relist(self) -> None:
        """List again, independent of the watch. Call it from the event loop of `run`."""
        self._version, self._is_expired = None, True
        if self._watching is not None:
            self._watching.cancel()

    async def _list(self) -> str:
        """Replace the store's scope by a complete list; return its resourceVersion."""
        query = {**self._query, "limit": str(_PAGE_SIZE)}
        records: list[Record] = []
        while True:
            self._attempted_at = self._monotonic()
            page = await self._api.page(self.kind, self.scope, query, total_seconds=self._timing.page)
            self._saw_data()
            items = page.pop("items", None) or []
            for begin in range(0, len(items), _BATCH_SIZE):
                read = (self._store.read(self.kind, item) for item in items[begin : begin + _BATCH_SIZE])
                records += [record for record in read if record is not None]
                await asyncio.sleep(0)
            metadata = page["metadata"]
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        version = str(metadata["resourceVersion"])
        self._is_expired = False
        changes = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._store.exchange, self.kind, self.scope, records, version
        )
        for begin in range(0, len(changes), _BATCH_SIZE):
            self._store.notify(changes[begin : begin + _BATCH_SIZE])
            await asyncio.sleep(0)
        return version

    async def _watch(self, version: str) -> None:
        """Process events until the API server ends the watch. Raises ClusterError for any other end."""
        seconds = self._timing.watch * spread(0.8, 1.2)
        query = {
            **self._query,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        self._attempted_at = started = self._monotonic()
        pieces = self._api.watch(
            self.kind,
            self.scope,
            query,
            silence_seconds=self._timing.silence,
            total_seconds=seconds + self._timing.grace,
        )
        async with aclosing(self._monitored(pieces)) as chunks, aclosing(lines(chunks)) as events:
            async for line in events:
                self._process(line)
                if self._pauses and self._monotonic() - started >= self._timing.steady:
                    self._pauses = 0
        if self._monotonic() - started >= self._timing.steady:
            self._pauses = 0

    async def _monitored(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a watch. Each proves that the server is alive, the first that it accepts the watch."""
        async with aclosing(pieces):
            async for piece in pieces:
                self._saw_data()
                self._recovered()
                yield piece
                await asyncio.sleep(0)  # a stream that always has data would block the event loop

    def _process(self, line: bytes) -> None:
        event = json.loads(line)
        kind, body = event["type"], event["object"]
        if kind == "ERROR":
            code, message = body.get("code") or 0, body.get("message") or body.get("reason")
            raise Unavailable(f"the watch ended with an error: HTTP {code}: {message}", code=int(code))
        version = str(body["metadata"]["resourceVersion"])
        if kind in ("ADDED", "MODIFIED"):
            self._store.upsert(self.kind, body)
        elif kind == "DELETED":
            self._store.remove(self.kind, body)
        elif kind == "BOOKMARK":
            self._store.advance(self.kind, self.scope, version)
        self._version = version

    def _saw_data(self) -> None:
        self._alive_at = self._attempted_at = self._monotonic()

    def _recovered(self) -> None:
        if self._last_error:
            _logger.info("%s are watched again after %d failures", self, self._failures)
        self._failures, self._last_error = 0, ""

    def _report(self, error: Exception) -> None:
        text = str(error) if isinstance(error, ClusterError) else f"{type(error).__name__}: {error}"
        self._failures += 1
        level = logging.WARNING if text != self._last_error else logging.DEBUG
        self._last_error = text
        _logger.log(level, "Listing or watching %s failed, listing again: %s", self, text)
        self._observe(self.kind, self.scope, "error", 0.0)

    async def _pause(self, error: Exception | None) -> None:
        timing = self._timing
        self._pauses += 1
        seconds = Backoff(timing.first_pause, timing.longest_pause).delay(self._pauses)
        if isinstance(error, Unavailable) and error.retry_after:
            seconds += min(error.retry_after, timing.longest_pause)
        await asyncio.sleep(seconds)
        self._attempted_at = self._monotonic()

    def __str__(self) -> str:
        where = f"in namespace {self.scope}" if self.scope else "in all namespaces"
        return f"{self.kind.plural} {where}"


async def lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a stream, of any length. Raises Unavailable when the stream ends within a line."""
    started: list[bytes] = []
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line = b"".join([*started, end])
            started = []
            if line.strip():
                yield line
        started.append(rest)
    if b"".join(started).strip():
        raise Unavailable("the watch ended within a line")
