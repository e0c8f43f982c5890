"""A proxy in front of a real API server that lets chosen calls fail: before their effect, after it, or late.

Plain HTTP comes in, TLS goes out; the caller's token is passed on, so that its Role stays in force. Answers are
passed on whole, those of watches as they come.
"""

import asyncio
import contextlib
import re
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from tests.support.waiting import wait_for

_START_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 3600
"""The proxy closes no idle connection: that would be a fault that nobody asked for."""

_WATCH_PAUSE_SECONDS: Final = 1
"""How soon a watch ends at the API server once its caller has gone."""

_HOP_BY_HOP: Final = {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Fault:
    """What becomes of a call.

    `outcome` is the code of an answer of the proxy's own, "cut" for a connection that ends without one, "gone" for what
    an API server tells a watch that comes back too late, or "pass" for the API server's answer. It comes after `delay`
    seconds; with `after_effect` the API server has done its part before them, else it gets the call after them ("pass")
    or never.
    """

    outcome: int | Literal["cut", "gone", "pass"]
    after_effect: bool = False
    delay: float = 0


@dataclass(frozen=True)
class Call:
    """A call as it came in; `target` is the path with the query, decoded."""

    method: str
    target: str


@dataclass
class Rule:
    """A fault and the calls that it hits: of those that match, the `nth` (from 1) and those behind it, `times` in all.

    `method` and `target` are regular expressions, for the whole method and for a part of the target; of the texts
    in `naming`, if any, target or body must hold one. `times` None is all of them.
    """

    fault: Fault
    method: str = ".*"
    target: str = ""
    naming: tuple[str, ...] = ()
    nth: int = 1
    times: int | None = 1
    struck: threading.Event = field(default_factory=threading.Event)
    """Set when a call has been hit, and the API server has done its part if it should."""
    matched: int = 0

    def hits(self, call: Call, body: bytes) -> bool:
        """Count a call; tell whether the fault is for it."""
        if not (re.fullmatch(self.method, call.method) and re.search(self.target, call.target)):
            return False
        if self.naming and not any(name in call.target or name.encode() in body for name in self.naming):
            return False
        self.matched += 1
        behind = self.matched - self.nth
        return behind >= 0 and (self.times is None or behind < self.times)


class FaultProxy:
    """Runs in a thread of its own; its methods may be called from any other."""

    def __init__(self, kubeconfig: Path) -> None:
        """Prepare to stand before the API server that a kubeconfig names."""
        self._content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        cluster = self._content["clusters"][0]["cluster"]
        self._server = str(cluster["server"])
        self._trust = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._calls: list[Call] = []
        self._in_flight = 0
        self._watches: set[asyncio.Transport] = set()
        self._port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the fault proxy does not start"
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what is under way, and end."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        assert not self._thread.is_alive(), "the fault proxy does not end"

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig anew, with the proxy in the API server's place."""
        clusters = [
            {"name": entry["name"], "cluster": {"server": f"http://127.0.0.1:{self._port}"}}
            for entry in self._content["clusters"]
        ]
        path.write_text(yaml.safe_dump({**self._content, "clusters": clusters}))
        return path

    @contextmanager
    def failing(self, rule: Rule) -> Iterator[Rule]:
        """Let calls fail until the block ends."""
        with self._lock:
            self._rules.append(rule)
        try:
            yield rule
        finally:
            with self._lock:
                self._rules.remove(rule)

    @contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """Give a list that holds, after the block, the calls that came in meanwhile."""
        calls: list[Call] = []
        with self._lock:
            begin = len(self._calls)
        try:
            yield calls
        finally:
            with self._lock:
                calls += self._calls[begin:]

    def cut_watches(self) -> None:
        """End every watch that is open, in the middle and without a word."""

        def cut() -> None:
            for watch in self._watches:
                watch.abort()

        self._loop.call_soon_threadsafe(cut)

    def wait_until_idle(self, *, timeout: float) -> None:
        """Return when every call has come to its end, the late ones too."""
        wait_for("the proxy's last call to end", lambda: self._in_flight == 0, timeout=timeout)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # it cancels what is still under way
            runner.run(self._serve())

    async def _serve(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        async with aiohttp.ClientSession(connector=connector, skip_auto_headers=["Accept-Encoding"]) as session:

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                with self._counted():
                    return await self._handle(session, request)

            server = web.Server(handle, keepalive_timeout=_KEEP_ALIVE_SECONDS)
            runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _handle(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        rule = self._rule_for(Call(request.method, str(request.rel_url.human_repr())), body)
        if rule is None:
            return await self._pass_on(session, request, body)
        fault = rule.fault
        answer = await self._forward(session, request, body) if fault.after_effect else None
        rule.struck.set()
        await asyncio.sleep(fault.delay)
        if fault.outcome == "pass":
            return answer or await self._pass_on(session, request, body)
        if fault.outcome == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # to nobody
        return _gone() if fault.outcome == "gone" else _failure(fault.outcome)

    def _rule_for(self, call: Call, body: bytes) -> Rule | None:
        with self._lock:
            self._calls.append(call)
            hit = [rule for rule in self._rules if rule.hits(call, body)]
        return hit[0] if hit else None

    async def _pass_on(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, body: bytes
    ) -> web.StreamResponse:
        if "watch" in request.query and isinstance(request.transport, asyncio.Transport):
            return await self._watch(session, request, request.transport)
        return await self._forward(session, request, body)

    async def _watch(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, caller: asyncio.Transport
    ) -> web.StreamResponse:
        self._watches.add(caller)
        try:
            async with self._called(session, request, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
                await response.prepare(request)
                while not caller.is_closing():
                    with contextlib.suppress(TimeoutError):
                        piece = await asyncio.wait_for(answer.content.readany(), _WATCH_PAUSE_SECONDS)
                        if not piece:
                            break
                        await response.write(piece)
                return response
        except (aiohttp.ClientError, ConnectionError):
            caller.abort()
            return web.Response()  # to nobody
        finally:
            self._watches.discard(caller)

    async def _forward(self, session: aiohttp.ClientSession, request: web.BaseRequest, body: bytes) -> web.Response:
        async with self._called(session, request, data=body or None) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer.headers))

    def _called(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, **more: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = URL(self._server + request.raw_path, encoded=True)
        return session.request(request.method, url, headers=_kept(request.headers), **more)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in _HOP_BY_HOP}


def _failure(code: int) -> web.Response:
    """Answer as an API server does that has failed or is overloaded."""
    return web.json_response(_status(code), status=code, headers={"Retry-After": "1"} if code in (429, 503) else {})


def _gone() -> web.Response:
    """Answer a watch as an API server does that does not remember so far back: the watch opens, and ends at once."""
    return web.json_response({"type": "ERROR", "object": _status(410)})


def _status(code: int) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "a fault, as ordered"}
