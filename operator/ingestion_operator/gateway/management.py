"""The management port, for the kubelet, Prometheus and administrators inside the cluster only."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingestion_operator.errors import ClusterError
from ingestion_operator.gateway.bounded_executor import READ_SECONDS, BoundedExecutor
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.service import PipelineService

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def management_app(
    service: PipelineService,
    *,
    metrics: Metrics,
    executor: BoundedExecutor,
    is_ready: Callable[[], bool],
    problems: Callable[[], Sequence[str]],
) -> Starlette:
    """Return the application with /livez, /readyz, /metrics and /status.

    `problems` returns the problems that only a restart of the process can solve. They fail /livez.
    """

    async def livez(_: Request) -> Response:
        # The same event loop serves the public port, so a response proves that it runs. Dependencies do not count:
        # otherwise an outage of the API server would restart every replica.
        found = problems()
        return PlainTextResponse("; ".join(found) or "ok", HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK)

    async def readyz(_: Request) -> Response:
        if is_ready():
            return PlainTextResponse("ok")
        return PlainTextResponse("starting or ending", HTTPStatus.SERVICE_UNAVAILABLE)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.text(), media_type=_METRICS_TYPE)

    async def status(_: Request) -> Response:
        try:
            found = await executor.run(service.get_service_status, seconds=READ_SECONDS)
        except ClusterError as error:
            return JSONResponse({"healthy": False, "problems": [str(error)]}, HTTPStatus.SERVICE_UNAVAILABLE)
        code = HTTPStatus.OK if found.healthy else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(found.model_dump(), code)

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
            Route("/status", status),
        ]
    )
