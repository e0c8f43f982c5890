"""A proxy in front of a real API server that lets chosen calls fail: before their effect, after it, or late.

Plain HTTP comes in, or TLS with a certificate of its own, TLS goes out; the caller's token is passed on, so that its
Role stays in force. Answers are passed on whole, those of watches and followed logs as they come.
"""

import asyncio
import contextlib
import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from weakref import WeakSet

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from testing.fault_rules import Call, Fault, Rule, status_of
from testing.waiting import wait_for

__all__ = ["Call", "Fault", "FaultProxy", "Rule"]

_START_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 3600
"""The proxy closes no idle connection: that would be a fault that no test has ordered."""

_WATCH_PAUSE_SECONDS: Final = 0.5
"""How soon a watch ends at the API server once its caller has gone."""

_HOP_BY_HOP: Final = {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class _Stream:
    """A watch or a followed log that is open."""

    call: Call
    caller: asyncio.Transport
    fault: Fault | None = None
    """What becomes of it from now on."""


class FaultProxy:
    """Runs in a thread of its own; its methods may be called from any other."""

    def __init__(self, kubeconfig: Path, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        """Prepare to stand before the API server that a kubeconfig names.

        Callers reach it at `address`; with `tls`, a server's context, they speak HTTPS.
        """
        self._address = address
        self._tls = tls
        self._content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        cluster = self._content["clusters"][0]["cluster"]
        self._server = str(cluster["server"])
        self._trust = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._calls: list[Call] = []
        self._in_flight = 0
        self._streams: list[_Stream] = []
        self._callers: WeakSet[asyncio.WriteTransport] = WeakSet()
        self._port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen on a free port of the address."""
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the fault proxy does not start"
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what is under way, and end."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_SECONDS)
        assert not self._thread.is_alive(), "the fault proxy does not end"

    @property
    def port(self) -> int:
        """The port it listens at."""
        return self._port

    def write_kubeconfig(self, path: Path) -> Path:
        """Write the kubeconfig again, with the proxy in the API server's place; for a proxy without TLS."""
        clusters = [
            {"name": entry["name"], "cluster": {"server": f"http://{self._address}:{self._port}"}}
            for entry in self._content["clusters"]
        ]
        path.write_text(yaml.safe_dump({**self._content, "clusters": clusters}))
        return path

    @property
    def open_streams(self) -> int:
        """How many watches and followed logs are open."""
        return len(self._streams)

    @contextmanager
    def failing(self, *rules: Rule, open_streams: bool = False) -> Iterator[Rule]:
        """Let calls fail until the block ends; return the first rule.

        With `open_streams` the rules also hit the watches that are open now: they get the ERROR event, fall silent, or
        are cut where the fault is an answer, since their callers then ask again.
        """
        with self._lock:
            self._rules += rules
        if open_streams:
            self._loop.call_soon_threadsafe(self._disturb_streams, rules)
        try:
            yield rules[0]
        finally:
            with self._lock:
                self._rules = [rule for rule in self._rules if not any(rule is own for own in rules)]

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
        """End every stream that is open, in the middle and without a word."""
        self._loop.call_soon_threadsafe(self._disturb_streams, (Rule(Fault("cut")),))

    def _disturb_streams(self, rules: tuple[Rule, ...]) -> None:
        for stream in self._streams:
            rule = next((rule for rule in rules if rule.covers(stream.call)), None)
            if rule is None:
                continue
            stream.fault = rule.fault
            rule.struck.set()
            if rule.fault.outcome not in ("error", "gone", "silence", "pass"):
                stream.caller.abort()

    def wait_until_idle(self, *, timeout: float) -> None:
        """Return when every call has come to its end, the late ones too; streams may go on."""
        wait_for("the proxy's last call to end", lambda: self._in_flight == len(self._streams), timeout=timeout)

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
            site = web.TCPSite(runner, self._address, 0, ssl_context=self._tls)
            await site.start()
            self._port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
            for caller in list(self._callers):  # an orderly end of TLS would wait for the caller
                caller.abort()
            await runner.cleanup()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _handle(self, session: aiohttp.ClientSession, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.transport, asyncio.WriteTransport):
            self._callers.add(request.transport)
        body = await request.read()
        call = Call(request.method, str(request.rel_url.human_repr()))
        rule = self._rule_for(call, body)
        if rule is None:
            return await self._pass_on(session, request, call, body)
        fault = rule.fault
        answer = await self._forward(session, request, body) if fault.after_effect else None
        rule.struck.set()
        await asyncio.sleep(fault.delay)
        if fault.outcome == "pass":
            return answer or await self._pass_on(session, request, call, body)
        if fault.outcome == "silence":
            await _until_closed(request.transport)
            return web.Response()  # to a caller that has gone
        if fault.outcome == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # to a caller that has gone
        return _failure(fault.outcome) if isinstance(fault.outcome, int) else web.Response(body=_error_event(fault))

    def _rule_for(self, call: Call, body: bytes) -> Rule | None:
        with self._lock:
            self._calls.append(call)
            hit = [rule for rule in self._rules if rule.hits(call, body)]
        return hit[0] if hit else None

    async def _pass_on(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, call: Call, body: bytes
    ) -> web.StreamResponse:
        is_stream = "watch" in request.query or "follow" in request.query
        if is_stream and isinstance(request.transport, asyncio.Transport):
            return await self._stream(session, request, _Stream(call, request.transport))
        return await self._forward(session, request, body)

    async def _stream(
        self, session: aiohttp.ClientSession, request: web.BaseRequest, stream: _Stream
    ) -> web.StreamResponse:
        caller = stream.caller
        self._streams.append(stream)
        try:
            async with self._called(session, request, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                try:
                    return await self._copy(answer, request, stream)
                finally:
                    if answer.connection is not None and answer.connection.transport is not None:
                        answer.connection.transport.abort()  # an orderly end of TLS would wait for the API server
        except (aiohttp.ClientError, ConnectionError):
            caller.abort()
            return web.Response()  # to a caller that has gone
        finally:
            self._streams.remove(stream)

    async def _copy(
        self, answer: aiohttp.ClientResponse, request: web.BaseRequest, stream: _Stream
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
        await response.prepare(request)
        rest = b""
        while not stream.caller.is_closing() and stream.fault is None:
            with contextlib.suppress(TimeoutError):
                piece = await asyncio.wait_for(answer.content.readany(), _WATCH_PAUSE_SECONDS)
                if not piece:
                    await response.write(rest)
                    return response
                # Whole lines, so that an event may follow that the API server has not sent.
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                if newline and stream.fault is None:
                    await response.write(whole + newline)
        if stream.fault is not None and stream.fault.outcome in ("error", "gone"):
            await response.write(_error_event(stream.fault))
        elif stream.fault is not None and stream.fault.outcome == "silence":
            await _until_closed(stream.caller)
        return response

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


async def _until_closed(caller: asyncio.BaseTransport | None) -> None:
    while caller is not None and not caller.is_closing():  # noqa: ASYNC110  a transport has no event for it
        await asyncio.sleep(_WATCH_PAUSE_SECONDS)


def _failure(code: int) -> web.Response:
    """Answer as an API server does that has failed or is overloaded."""
    return web.json_response(status_of(code), status=code, headers={"Retry-After": "1"} if code in (429, 503) else {})


def _error_event(fault: Fault) -> bytes:
    """Return the event by which an API server ends a watch; 410 where it does not remember so far back."""
    status = status_of(410) if fault.outcome == "gone" else status_of(fault.code, fault.message)
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
