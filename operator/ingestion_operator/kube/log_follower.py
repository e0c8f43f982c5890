"""LogFollower over aiohttp: hundreds of logs at a time in one thread.

The official client would take a thread and two buffers for each.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final

import aiohttp

from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.errors import Unavailable
from ingestion_operator.kube.login import Login, read_login
from ingestion_operator.kube.translation import LOG_CODES, error_of
from ingestion_operator.models.types import format_timestamp

_CONNECT_SECONDS: Final = 10
_SILENCE_SECONDS: Final = 300
"""A connection that has brought nothing for so long may be dead."""

_PIECE_BYTES: Final = 32 * 1024
_UNAUTHORIZED: Final = 401


class KubernetesLogFollower:
    """Streams logs through the API server. Belongs to the event loop that it is first used in."""

    def __init__(self, kubeconfig: str | None = None) -> None:
        """Log in as a kubeconfig says, else by the pod's service account."""
        self._kubeconfig = kubeconfig
        self._login: Login | None = None
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    async def stream(
        self, namespace: str, pod: str, *, since: datetime | None, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield the log of the runner's container, each line with its time."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": RUNNER_CONTAINER, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since is not None:
            query["sinceTime"] = format_timestamp(since)
        try:
            response = await self._get(path, query)
            try:
                if response.status not in LOG_CODES:
                    raise error_of("GET", path, response.status, await response.read())
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    yield piece
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"GET {path}: the API server cannot be reached: {reason}") from error

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _get(self, path: str, query: dict[str, str]) -> aiohttp.ClientResponse:
        login, session = await self._connected()
        response = await session.get(login.server + path, params=query, headers=authorization(login))
        if response.status == _UNAUTHORIZED and login.token is not None:
            response.close()
            login, session = await self._connected(refused=login)
            response = await session.get(login.server + path, params=query, headers=authorization(login))
        return response

    async def _connected(self, *, refused: Login | None = None) -> tuple[Login, aiohttp.ClientSession]:
        """Return how to log in, read anew after the one in use was refused: tokens live for an hour or so."""
        async with self._lock:
            if self._login is None or self._login is refused:
                self._login = await asyncio.to_thread(read_login, self._kubeconfig)
            if self._session is None:
                self._session = _session(self._login)
            return self._login, self._session


def _session(login: Login) -> aiohttp.ClientSession:
    """Return a session with one TLS context for all connections: each takes a megabyte."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, ssl=tls(login), force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=_PIECE_BYTES)


def authorization(login: Login) -> dict[str, str]:
    """Return the header that shows who calls."""
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
