"""Reads from the API server over aiohttp, with hundreds of concurrent streams in one thread.

The official client would need a thread and two buffers for each stream.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from ingestion_operator.adapters.kube.credentials import ApiCredentials, read_credentials
from ingestion_operator.adapters.kube.errors import error_of, seconds_to_wait
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.errors import ClusterError, Unavailable
from ingestion_operator.ports import Kind

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_PIECE_BYTES: Final = 64 * 1024
_CREDENTIALS_SECONDS: Final = 300.0
"""How long credentials are used before they are read again. A token is replaced 12 minutes before it expires."""

_OK: Final = frozenset({200})
_UNAUTHORIZED: Final = 401


class ApiSession:
    """Connections to the API server. Belongs to the event loop of its first use.

    The credentials are those of a kubeconfig, otherwise of the pod's service account. They are read again every five
    minutes, and when the API server rejects them. Every call raises the ClusterErrors of `errors`.
    """

    def __init__(
        self, kubeconfig: str | None = None, *, clock: ServerClock | None = None, keep_alive: bool = True
    ) -> None:
        """`clock` takes the time from the responses; without `keep_alive` each request has a connection of its own."""
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._keep_alive = keep_alive
        self._credentials: ApiCredentials | None = None
        self._credentials_read_at = 0.0
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    async def page(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, total_seconds: float
    ) -> dict[str, Any]:
        """Return a list of objects, or a page of it; an empty `namespace` means all namespaces."""
        path = collection_path(kind, namespace)
        async with self._opened(
            path, query, _OK, silence_seconds=_READ_SECONDS, total_seconds=total_seconds
        ) as response:
            text = await response.read()
        try:
            document = json.loads(text)
        except ValueError as error:
            raise Unavailable(f"GET {path}: the response is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise Unavailable(f"GET {path}: the response is not an object")
        return document

    def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, silence_seconds: float, total_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield an empty piece once the API server has accepted the watch, then its data in pieces of any size.

        Raises:
            Unavailable: No data came for `silence_seconds`, or the watch has lasted for `total_seconds`.
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
        """Yield an empty piece once the response has one of the HTTP `codes`, then its body in pieces of any size."""
        async with self._opened(
            path, query, codes, silence_seconds=silence_seconds, total_seconds=total_seconds
        ) as response:
            yield b""
            async for piece in response.content.iter_any():
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
            response = await self._get(path, query, limits)
            is_read = False
            try:
                if response.status not in codes:
                    wait = seconds_to_wait(response.status, response.headers.get("Retry-After"))
                    raise error_of("GET", path, response.status, await response.read(), retry_after=wait)
                yield response
                is_read = True
            finally:
                if is_read:
                    response.release()
                else:
                    _abort(response)
        except aiohttp.ClientSSLError as error:
            await self.close()  # the API server's certificate may have a new CA: read its file again
            raise _unreachable(path, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(path, error) from error

    async def _get(self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        credentials, session = await self._connected()
        response = await self._send(credentials, session, path, query, limits)
        if response.status == _UNAUTHORIZED:
            _abort(response)
            credentials, session = await self._connected(rejected=credentials)
            response = await self._send(credentials, session, path, query, limits)
        return response

    async def _send(
        self,
        credentials: ApiCredentials,
        session: aiohttp.ClientSession,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}  # compression costs more than it saves
        headers |= authorization(credentials)
        sent_at = self._clock.machine_now() if self._clock is not None else None
        response = await session.get(credentials.server + path, params=query, headers=headers, timeout=limits)
        if self._clock is not None and sent_at is not None:
            self._clock.learn(response.headers.get("Date"), sent_at)
        return response

    async def _connected(
        self, *, rejected: ApiCredentials | None = None
    ) -> tuple[ApiCredentials, aiohttp.ClientSession]:
        async with self._lock:
            credentials = self._credentials
            is_old = time.monotonic() - self._credentials_read_at > _CREDENTIALS_SECONDS
            if credentials is None or credentials is rejected or is_old:
                credentials = await self._read_credentials()
            if self._session is None:
                self._session = _session(credentials, keep_alive=self._keep_alive)
            return credentials, self._session

    async def _read_credentials(self) -> ApiCredentials:
        old = self._credentials
        try:
            credentials = await asyncio.to_thread(read_credentials, self._kubeconfig)
        except (ClusterError, OSError):
            if old is None:
                raise
            credentials = old  # the file is being replaced
        if old is not None and self._session is not None and _transport(credentials) != _transport(old):
            await self._session.close()
            self._session = None
        self._credentials, self._credentials_read_at = credentials, time.monotonic()
        return credentials


def collection_path(kind: Kind, namespace: str) -> str:
    """Return the path of the objects of a kind in a namespace, or in the cluster ("")."""
    root = "apis" if "/" in kind.api_version else "api"
    within = f"namespaces/{namespace}/" if namespace else ""
    return f"/{root}/{kind.api_version}/{within}{kind.plural}"


def _abort(response: aiohttp.ClientResponse) -> None:
    """Abort a response that was not read completely: closing a TLS connection would wait for the other side."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _unreachable(path: str, error: Exception) -> Unavailable:
    return Unavailable(f"GET {path}: the API server cannot be reached: {str(error) or type(error).__name__}")


def _transport(credentials: ApiCredentials) -> tuple[object, ...]:
    return credentials.ca_path, credentials.insecure, credentials.certificate_path, credentials.private_key_path


def _session(credentials: ApiCredentials, *, keep_alive: bool) -> aiohttp.ClientSession:
    """Return a session with one TLS context for all connections: a context takes a megabyte."""
    connector = aiohttp.TCPConnector(limit=0, ssl=tls(credentials), force_close=not keep_alive)
    return aiohttp.ClientSession(connector=connector, read_bufsize=_PIECE_BYTES)


def authorization(credentials: ApiCredentials) -> dict[str, str]:
    """Return the header Authorization for the credentials."""
    return {"Authorization": f"Bearer {credentials.token}"} if credentials.token is not None else {}


def tls(credentials: ApiCredentials) -> ssl.SSLContext:
    """Return a TLS context for the API server, with the client certificate if there is one."""
    context = ssl.create_default_context(cafile=credentials.ca_path)
    if credentials.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if credentials.certificate_path is not None:
        context.load_cert_chain(credentials.certificate_path, credentials.private_key_path)
    return context
