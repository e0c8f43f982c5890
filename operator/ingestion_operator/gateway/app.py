"""The application on the public port."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from ingestion_operator import __version__
from ingestion_operator.api.settings import Settings
from ingestion_operator.gateway.access_log import AccessLog
from ingestion_operator.gateway.authentication import BasicAuthentication
from ingestion_operator.gateway.bounded_executor import BoundedExecutor
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.openapi import SECURITY, operation
from ingestion_operator.gateway.paths import ROOTS, CollapsedSlashes
from ingestion_operator.gateway.read_endpoints import ReadEndpoints
from ingestion_operator.gateway.responses import translate_errors
from ingestion_operator.gateway.service import PipelineService
from ingestion_operator.gateway.write_endpoints import WriteEndpoints

_TITLE = "ingestion gateway"


def public_app(
    service: PipelineService,
    *,
    settings: Callable[[], Settings],
    credentials: Credentials,
    metrics: Metrics,
    executor: BoundedExecutor,
) -> ASGIApp:
    """Return the application: the endpoints under both roots, /docs and /openapi.json, with Basic authentication."""
    app = FastAPIOffline(title=_TITLE, version=__version__, redoc_url=None, redirect_slashes=False)
    translate_errors(app)
    _add_routes(app, ReadEndpoints(service, settings, executor), WriteEndpoints(service, executor))
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # as FastAPI documents it
    return CollapsedSlashes(AccessLog(BasicAuthentication(app, credentials), metrics))


def _add_routes(app: FastAPI, reads: ReadEndpoints, writes: WriteEndpoints) -> None:
    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "health", reads.health),
        ("GET", "health-auth", reads.health),
        ("GET", "csrf-token", reads.csrf_token),
        ("GET", "ip", reads.ip),
        ("GET", "status", reads.status),
        ("GET", "last_dag_logs", reads.last_dag_logs),
        ("POST", "deploy", writes.deploy),
        ("POST", "trigger", writes.trigger),
        ("POST", "enable", writes.enable),
        ("POST", "disable", writes.disable),
        ("POST", "kill", writes.kill),
        ("DELETE", "delete", writes.delete),
        ("POST", "run_automation", writes.run_automation),
        ("POST", "run_application", writes.run_application),
        ("POST", "test_connection", writes.test_connection),
    ]
    for root in ROOTS:
        for method, name, endpoint in routes:
            app.add_api_route(
                f"{root}/{name}",
                endpoint,
                methods=[method],
                response_model=None,
                openapi_extra=operation(name),
                include_in_schema=root == ROOTS[0],
            )


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = SECURITY
    return document
