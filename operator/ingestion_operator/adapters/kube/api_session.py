"""Reads from the API server over aiohttp: hundreds of streams at a time in one thread.

The official client would take a thread and two buffers for each.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from ingestion_operator.adapters.kube.credentials import Login, read_login
from ingestion_operator.adapters.kube.errors import error_of, seconds_to_wait
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.errors import ClusterError, Unavailable
from ingestion_operator.ports import Kind

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_PIECE_BYTES: Final = 64 * 1024
_LOGIN_SECONDS: Final = 300.0
"""How long credentials are used before they are read again: the kubelet replaces a token 12 minutes before its end."""

_OK: Final = frozenset({200})
_UNAUTHORIZED: Final = 401


class ApiSession:
    """One set of connections to the API server. Belongs to the event loop that it is first used in.

    Logs in as a kubeconfig says, else by the pod's service account. Credentials are read again every five minutes, and
    when the API server refuses them. Every call raises the ClusterErrors of `errors`.
    """

    def __init__(
        self, kubeconfig: str | None = None, *, clock: ServerClock | None = None, keep_alive: bool = True
    ) -> None:
        """`clock` learns the API server's time from its answers; without `keep_alive` no connection is used twice."""
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._keep_alive = keep_alive
        self._login: Login | None = None
        self._login_read_at = 0.0
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    async def page(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, total_seconds: float
    ) -> dict[str, Any]:
        """Return a list of objects, or a page of it; an empty `namespace` means all of them."""
        path = collection_path(kind, namespace)
        async with self._opened(path, query, _OK, silence_seconds=_READ_SECONDS, total_seconds=total_seconds) as answer:
            text = await answer.read()
        try:
            document = json.loads(text)
        except ValueError as error:
            raise Unavailable(f"GET {path}: the answer is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise Unavailable(f"GET {path}: the answer is not an object")
        return document

    def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, silence_seconds: float, total_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield an empty piece once the API server has accepted the watch, then what comes, in pieces of any size.

        Raises Unavailable when nothing has come for `silence_seconds`, or when it has lasted for `total_seconds`.
        """
        return self.stream(
            collection_path(kind, namespace),
            {**query, "watch": "true"},
            silence_seconds=silence_seconds,
            total_seconds=total_seconds,
        )

    async def stream(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        silence_seconds: float,
        total_seconds: float | None = None,
        codes: Collection[int] = _OK,
    ) -> AsyncGenerator[bytes, None]:
        """Yield an empty piece once the answer has one of the HTTP `codes`, then its body, in pieces of any size."""
        async with self._opened(
            path, query, codes, silence_seconds=silence_seconds, total_seconds=total_seconds
        ) as answer:
            yield b""
            async for piece in answer.content.iter_any():
                yield piece

    async def close(self) -> None:
        """Close all connections."""
        async with self._lock:
            session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _opened(
        self,
        path: str,
        query: Mapping[str, str],
        codes: Collection[int],
        *,
        silence_seconds: float,
        total_seconds: float | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        limits = aiohttp.ClientTimeout(total=total_seconds, connect=_CONNECT_SECONDS, sock_read=silence_seconds)
        try:
            answer = await self._get(path, query, limits)
            is_read = False
            try:
                if answer.status not in codes:
                    wait = seconds_to_wait(answer.status, answer.headers.get("Retry-After"))
                    raise error_of("GET", path, answer.status, await answer.read(), retry_after=wait)
                yield answer
                is_read = True
            finally:
                if is_read:
                    answer.release()
                else:
                    _abort(answer)
        except aiohttp.ClientSSLError as error:
            await self.close()  # the API server's certificate may have a new authority: read its file again
            raise _unreachable(path, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(path, error) from error

    async def _get(self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        login, session = await self._connected()
        answer = await self._send(login, session, path, query, limits)
        if answer.status == _UNAUTHORIZED:
            _abort(answer)
            login, session = await self._connected(refused=login)
            answer = await self._send(login, session, path, query, limits)
        return answer

    async def _send(
        self,
        login: Login,
        session: aiohttp.ClientSession,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}  # packing costs more than it saves
        headers |= authorization(login)
        asked = self._clock.machine_now() if self._clock is not None else None
        answer = await session.get(login.server + path, params=query, headers=headers, timeout=limits)
        if self._clock is not None and asked is not None:
            self._clock.learn(answer.headers.get("Date"), asked)
        return answer

    async def _connected(self, *, refused: Login | None = None) -> tuple[Login, aiohttp.ClientSession]:
        async with self._lock:
            login = self._login
            is_old = time.monotonic() - self._login_read_at > _LOGIN_SECONDS
            if login is None or login is refused or is_old:
                login = await self._read_login()
            if self._session is None:
                self._session = _session(login, keep_alive=self._keep_alive)
            return login, self._session

    async def _read_login(self) -> Login:
        old = self._login
        try:
            login = await asyncio.to_thread(read_login, self._kubeconfig)
        except (ClusterError, OSError):
            if old is None:
                raise
            login = old  # a file that is being replaced
        if old is not None and self._session is not None and _transport(login) != _transport(old):
            await self._session.close()
            self._session = None
        self._login, self._login_read_at = login, time.monotonic()
        return login


def collection_path(kind: Kind, namespace: str) -> str:
    """Return the path of all objects of a kind in a namespace, or in the cluster ("")."""
    root = "apis" if "/" in kind.api_version else "api"
    within = f"namespaces/{namespace}/" if namespace else ""
    return f"/{root}/{kind.api_version}/{within}{kind.plural}"


def _abort(answer: aiohttp.ClientResponse) -> None:
    """End an answer that is not read to its end: a TLS connection that is only closed waits for the other side."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    answer.close()


def _unreachable(path: str, error: Exception) -> Unavailable:
    return Unavailable(f"GET {path}: the API server cannot be reached: {str(error) or type(error).__name__}")


def _transport(login: Login) -> tuple[object, ...]:
    return login.ca_path, login.insecure, login.certificate_path, login.private_key_path


def _session(login: Login, *, keep_alive: bool) -> aiohttp.ClientSession:
    """Return a session with one TLS context for all connections: each takes a megabyte."""
    connector = aiohttp.TCPConnector(limit=0, ssl=tls(login), force_close=not keep_alive)
    return aiohttp.ClientSession(connector=connector, read_bufsize=_PIECE_BYTES)


def authorization(login: Login) -> dict[str, str]:
    """Return the header that says who calls."""
    return {"Authorization": f"Bearer {login.token}"} if login.token is not None else {}


def tls(login: Login) -> ssl.SSLContext:
    """Return how to trust the API server, and to be trusted by certificate."""
    context = ssl.create_default_context(cafile=login.ca_path)
    if login.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if login.certificate_path is not None:
        context.load_cert_chain(login.certificate_path, login.private_key_path)
    return context
