"""Keeps one kind of objects of one scope in the store: lists them, then watches them, without end."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from ingestion_operator.cache.projections import Record
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Unavailable
from ingestion_operator.ports import Kind

_logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 500
_BATCH_SIZE: Final = 100
"""Objects that are read, and changes that are passed on, between two turns of the event loop."""

Outcome = Literal["list", "watch", "error"]
Observe = Callable[[Kind, str, Outcome, float], None]
"""Called with kind, scope, what ended (a complete list, a watch, an attempt that failed) and its seconds."""


class ApiReads(Protocol):
    """What a reflector needs of the API server; `kube.api_session` provides it. Calls raise ClusterErrors."""

    async def page(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, total_seconds: float
    ) -> dict[str, Any]:
        """Return a list of objects, or a page of it; an empty `namespace` means all of them."""

    def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, silence_seconds: float, total_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield an empty piece once the watch is accepted, then what comes, in pieces of any size."""


@dataclass(frozen=True)
class Timing:
    """Bounds and pauses, in seconds."""

    page: float = 120.0
    """For one page of a list, from the request to its last byte."""
    watch: float = 300.0
    """What the API server is asked to end a watch after, a fifth more or less."""
    grace: float = 30.0
    """For how much longer a watch may last than was asked."""
    silence: float = 100.0
    """For how long nothing need come: a bookmark comes each minute."""
    first_pause: float = 0.5
    longest_pause: float = 10.0
    steady: float = 10.0
    """How long a watch must last for the next failure to be the first one again."""


DEFAULT_TIMING: Final = Timing()


class Reflector:
    """Lists and watches one kind in one scope. Belongs to one event loop; its properties may be read by any thread."""

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
        """`scope` is a namespace, or "" for the whole cluster; an empty `label_selector` selects everything.

        A complete list is put into the store by `executor`: twenty thousand records take 0.15 s.
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
        """Where the watch goes on; None: list first."""
        self._watching: asyncio.Future[None] | None = None
        self._is_expired = False
        """Whether the store counts this scope as not synced although a list of it is being passed on."""
        self._pauses = 0
        self._failures = 0
        self._last_error = ""
        self._alive_at = self._attempted_at = monotonic()

    @property
    def age_seconds(self) -> float:
        """How long ago the API server last gave a sign: a page of a list, an event or a bookmark."""
        return self._monotonic() - self._alive_at

    @property
    def last_attempt_seconds(self) -> float:
        """How long ago this reflector last did something: a request, or the reading of an answer."""
        return self._monotonic() - self._attempted_at

    @property
    def last_error(self) -> str:
        """Why the last attempt failed; empty once a watch has been accepted again."""
        return self._last_error

    @property
    def failures(self) -> int:
        """How many attempts have failed since a watch was last accepted."""
        return self._failures

    async def run(self) -> None:
        """List and watch until cancelled. Raises nothing else."""
        self._alive_at = self._attempted_at = self._monotonic()
        while True:
            begun = self._monotonic()
            try:
                if self._version is None:
                    version = await self._list()
                    self._observe(self.kind, self.scope, "list", self._monotonic() - begun)
                    if self._is_expired:
                        continue
                    self._version = version
                begun = self._monotonic()
                self._watching = asyncio.ensure_future(self._watch(self._version))
                await self._watching
                self._observe(self.kind, self.scope, "watch", self._monotonic() - begun)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._version is not None or task is None or task.cancelling():
                    raise  # else the watch alone was cancelled, to list again
            except Exception as error:  # noqa: BLE001  whatever it is, the next list may succeed
                self._version = None
                self._report(error)
                await self._pause(error)
                continue
            if self._monotonic() - begun < self._timing.steady:
                await self._pause(None)  # whatever ends each watch at once must not be asked in a busy loop

    def relist(self) -> None:
        """List again, whatever the watch brings. Call it from the event loop that this runs in."""
        self._version, self._is_expired = None, True
        if self._watching is not None:
            self._watching.cancel()

    async def _list(self) -> str:
        """Replace the store's scope by a complete list; return its version."""
        query = {**self._query, "limit": str(_PAGE_SIZE)}
        records: list[Record] = []
        while True:
            self._attempted_at = self._monotonic()
            page = await self._api.page(self.kind, self.scope, query, total_seconds=self._timing.page)
            self._is_alive()
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
        """Take events until the API server ends the watch. Raises ClusterError for any other end."""
        seconds = self._timing.watch * random.uniform(0.8, 1.2)  # noqa: S311  jitter
        query = {
            **self._query,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        self._attempted_at = begun = self._monotonic()
        pieces = self._api.watch(
            self.kind,
            self.scope,
            query,
            silence_seconds=self._timing.silence,
            total_seconds=seconds + self._timing.grace,
        )
        async with aclosing(self._attended(pieces)) as attended, aclosing(lines(attended)) as events:
            async for line in events:
                self._take(line)
                if self._pauses and self._monotonic() - begun >= self._timing.steady:
                    self._pauses = 0
        if self._monotonic() - begun >= self._timing.steady:
            self._pauses = 0

    async def _attended(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Pass on the pieces of a watch; each is a sign of life, the first of them that it was accepted."""
        async with aclosing(pieces):
            async for piece in pieces:
                self._is_alive()
                self._recovered()
                yield piece
                await asyncio.sleep(0)  # a stream that always has more would keep all else waiting

    def _take(self, line: bytes) -> None:
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

    def _is_alive(self) -> None:
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
        _logger.log(level, "%s cannot be watched and will be listed again: %s", self, text)
        self._observe(self.kind, self.scope, "error", 0.0)

    async def _pause(self, error: Exception | None) -> None:
        timing = self._timing
        seconds = min(timing.longest_pause, timing.first_pause * 2 ** min(self._pauses, 16))
        self._pauses += 1
        seconds *= random.uniform(0.5, 1.0)  # noqa: S311  jitter
        if isinstance(error, Unavailable) and error.retry_after:
            seconds += min(error.retry_after, timing.longest_pause)
        await asyncio.sleep(seconds)
        self._attempted_at = self._monotonic()

    def __str__(self) -> str:
        where = f"in namespace {self.scope}" if self.scope else "in all namespaces"
        return f"{self.kind.plural} {where}"


async def lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a stream, however long they are. Raises Unavailable when it ends within one."""
    begun: list[bytes] = []
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line = b"".join([*begun, end])
            begun = []
            if line.strip():
                yield line
        begun.append(rest)
    if b"".join(begun).strip():
        raise Unavailable("the watch ended within a line")
