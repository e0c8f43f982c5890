"""The operator's HTTP port for the kubelet and Prometheus.

It is open from the start, on standby too: kopf's own server has no /metrics, and kopf does not run on standby. It runs
in the main event loop, so that a response proves that this loop is alive.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ingestion_operator.errors import OperatorError

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


async def serve_health_and_metrics(
    liveness_url: str, problems: Callable[[], Sequence[str]], metrics: Callable[[], bytes]
) -> web.AppRunner:
    """Serve the path of `liveness_url`, and /metrics on the same port, until the runner is cleaned up.

    The probe fails while `problems` returns any; its body names them.

    Raises:
        OperatorError: The URL is invalid or its port is in use.
    """

    async def health(_: web.Request) -> web.Response:
        found = list(problems())
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return web.json_response({"alive": not found, "problems": found}, status=status)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": _METRICS_TYPE})

    parts = urlsplit(liveness_url)
    if parts.scheme != "http" or not parts.hostname or len(parts.path) <= 1:
        raise OperatorError(f"--liveness {liveness_url!r} is not a URL such as http://0.0.0.0:8080/healthz")
    app = web.Application()
    app.add_routes([web.get(parts.path, health), web.get("/metrics", show_metrics)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, parts.hostname, 80 if parts.port is None else parts.port).start()
    except OSError as error:
        await runner.cleanup()
        raise OperatorError(f"{liveness_url} cannot be served: {error.strerror}") from error
    return runner
