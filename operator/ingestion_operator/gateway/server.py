"""Both ports, from the first request to the last."""

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
from ingestion_operator.gateway.bounded_executor import WRITE_SECONDS, Work
from ingestion_operator.gateway.certificate import Certificate
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.management import management_app
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.service import PipelineService
from ingestion_operator.gateway.warm_pool_loop import Pool, Warming

_logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS: Final = 1230
"""Java 17 keeps a connection for 1,200 s and loses a POST sent while the other side closes: never close first."""

_GRACE_SECONDS: Final = int(WRITE_SECONDS) + 5
_CONNECTION_LIMIT: Final = 1024


@dataclass(frozen=True)
class Gateway:
    """What a gateway is made of."""

    service: PipelineService
    settings: Callable[[], Settings]
    credentials: Credentials
    certificate: Certificate | None = None
    warm_pool: Pool | None = None
    cache: Cache | None = None
    """What the service reads from. It is kept up to date as long as the gateway serves, in the same event loop."""


def listen(port: int) -> socket.socket:
    """Return a socket on all addresses, of IPv6 too where the machine has it. Port 0 takes a free one.

    Raises OperatorError when the port is taken.
    """
    dual = socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(
            ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual, backlog=1024
        )
    except OSError as error:
        raise OperatorError(f"port {port} cannot be listened on: {error.strerror}") from error
    # Connections inherit it. Else every answer waits 40 ms: its head and its body are two packets, and the second
    # is held back until the first is acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(gateway: Gateway, public: socket.socket, management: socket.socket, stop: asyncio.Event) -> None:
    """Serve both sockets until `stop` is set; then accept nothing new, finish what has begun, and return.

    Raises OperatorError when a server ends by itself.
    """
    logging.getLogger("uvicorn.access").disabled = True  # its lines hold whole queries; ours are in `access`
    metrics, work = Metrics(), Work()
    front = _Server(
        public_app(
            gateway.service,
            settings=gateway.settings,
            credentials=gateway.credentials,
            metrics=metrics,
            work=work,
        ),
        gateway.certificate,
    )
    if (cache := gateway.cache) is not None:
        metrics.follow(cache)
    back = _Server(
        management_app(
            gateway.service,
            metrics=metrics,
            work=work,
            is_ready=lambda: front.is_serving,
            problems=cache.problems if cache is not None else list,
        ),
        None,
    )
    caching = asyncio.create_task(cache.run()) if cache is not None else None
    stopping = asyncio.create_task(stop.wait())
    tasks = [asyncio.create_task(back.serve([management])), asyncio.create_task(front.serve([public]))]
    warming = Warming(gateway.warm_pool) if gateway.warm_pool is not None else None
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    _logger.info("The gateway ends: no new requests")
    # The second port stays to the end, so that the kubelet does not take an orderly end for a dead process.
    front.should_exit = True
    await asyncio.gather(tasks[1], return_exceptions=True)
    await asyncio.to_thread(work.close)
    if warming is not None:
        await asyncio.to_thread(warming.stop)
    if caching is not None:
        caching.cancel()
        await asyncio.wait([caching])
    back.should_exit = True
    await asyncio.gather(tasks[0], return_exceptions=True)
    if not stop.is_set():
        stopping.cancel()
        raise OperatorError("a server ended by itself: see the log above")


class _Server(uvicorn.Server):
    """A server that leaves signals to the program around it."""

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
                proxy_headers=False,  # the log shows who connected, not what a header claims
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
