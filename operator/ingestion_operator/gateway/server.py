"""The servers of both ports: start, serving and graceful shutdown."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from ingestion_operator.api.settings import Settings
from ingestion_operator.cache import Cache
from ingestion_operator.errors import OperatorError
from ingestion_operator.gateway.app import public_app
from ingestion_operator.gateway.bounded_executor import WRITE_SECONDS, BoundedExecutor
from ingestion_operator.gateway.certificate import Certificate
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.management import management_app
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.service import PipelineService
from ingestion_operator.gateway.warm_pool_loop import Pool, WarmPoolLoop

_logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS: Final = 1230
"""Java 17 keeps a connection for 1,200 s and loses a POST sent while the server closes it: wait longer."""

_GRACE_SECONDS: Final = int(WRITE_SECONDS) + 5
_CONNECTION_LIMIT: Final = 1024


@dataclass(frozen=True)
class Gateway:
    """The parts of a gateway."""

    service: PipelineService
    settings: Callable[[], Settings]
    credentials: Credentials
    certificate: Certificate | None = None
    warm_pool: Pool | None = None
    cache: Cache | None = None
    """The cache that the service reads. It runs in the event loop of the gateway while it serves."""


def listen(port: int) -> socket.socket:
    """Return a socket on all addresses, including IPv6 where available. Port 0 selects a free port.

    Raises:
        OperatorError: The port is in use.
    """
    dual = socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(
            ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual, backlog=1024
        )
    except OSError as error:
        raise OperatorError(f"port {port} cannot be listened on: {error.strerror}") from error
    # Connections inherit it. Without it every response takes 40 ms: head and body are two packets, and Nagle's
    # algorithm delays the second until the first is acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(gateway: Gateway, public: socket.socket, management: socket.socket, stop: asyncio.Event) -> None:
    """Serve both sockets until `stop` is set; then accept no new requests, finish those in progress, and return.

    Raises:
        OperatorError: A server ended by itself.
    """
    logging.getLogger("uvicorn.access").disabled = True  # its lines contain queries; see access_log
    metrics, executor = Metrics(), BoundedExecutor()
    public_server = _Server(
        public_app(
            gateway.service,
            settings=gateway.settings,
            credentials=gateway.credentials,
            metrics=metrics,
            executor=executor,
        ),
        gateway.certificate,
    )
    if (cache := gateway.cache) is not None:
        metrics.follow(cache)
    management_server = _Server(
        management_app(
            gateway.service,
            metrics=metrics,
            executor=executor,
            is_ready=lambda: public_server.is_serving,
            problems=cache.problems if cache is not None else list,
        ),
        None,
    )
    caching = asyncio.create_task(cache.run()) if cache is not None else None
    stopping = asyncio.create_task(stop.wait())
    tasks = [
        asyncio.create_task(management_server.serve([management])),
        asyncio.create_task(public_server.serve([public])),
    ]
    warm_pool_loop = WarmPoolLoop(gateway.warm_pool) if gateway.warm_pool is not None else None
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    _logger.info("The gateway shuts down: no new requests")
    # The management port stays open to the end: a failing probe would make the kubelet kill the process.
    public_server.should_exit = True
    await asyncio.gather(tasks[1], return_exceptions=True)
    await asyncio.to_thread(executor.close)
    if warm_pool_loop is not None:
        await asyncio.to_thread(warm_pool_loop.stop)
    if caching is not None:
        caching.cancel()
        await asyncio.wait([caching])
    management_server.should_exit = True
    await asyncio.gather(tasks[0], return_exceptions=True)
    if not stop.is_set():
        stopping.cancel()
        raise OperatorError("a server ended by itself: see the log above")


class _Server(uvicorn.Server):
    """A server that does not handle signals."""

    def __init__(self, app: ASGIApp, certificate: Certificate | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the log shows the address of the connection, not a header
                limit_concurrency=_CONNECTION_LIMIT,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                ssl_context_factory=(lambda _config, _default: certificate.context) if certificate else None,
            )
        )

    @property
    def is_serving(self) -> bool:
        return self.started and not self.should_exit

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
