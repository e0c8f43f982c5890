"""The public port's application, put together."""

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
from ingestion_operator.gateway.bounded_executor import Work
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.openapi import SECURITY, operation
from ingestion_operator.gateway.paths import ROOTS, CollapsedSlashes
from ingestion_operator.gateway.read_endpoints import Observing
from ingestion_operator.gateway.responses import translate_errors
from ingestion_operator.gateway.service import PipelineService
from ingestion_operator.gateway.write_endpoints import Operating

_TITLE = "ingestion gateway"


def public_app(
    service: PipelineService,
    *,
    settings: Callable[[], Settings],
    credentials: Credentials,
    metrics: Metrics,
    work: Work,
) -> ASGIApp:
    """Return the application: endpoints under both roots, /docs and /openapi.json, behind Basic authentication."""
    app = FastAPIOffline(title=_TITLE, version=__version__, redoc_url=None, redirect_slashes=False)
    translate_errors(app)
    _add_routes(app, Observing(service, settings, work), Operating(service, work))
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return CollapsedSlashes(AccessLog(BasicAuthentication(app, credentials), metrics))


def _add_routes(app: FastAPI, observing: Observing, operating: Operating) -> None:
    routes: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "health", observing.health),
        ("GET", "health-auth", observing.health),
        ("GET", "csrf-token", observing.csrf_token),
        ("GET", "ip", observing.ip),
        ("GET", "status", observing.status),
        ("GET", "last_dag_logs", observing.last_dag_logs),
        ("POST", "deploy", operating.deploy),
        ("POST", "trigger", operating.trigger),
        ("POST", "enable", operating.enable),
        ("POST", "disable", operating.disable),
        ("POST", "kill", operating.kill),
        ("DELETE", "delete", operating.delete),
        ("POST", "run_automation", operating.run_automation),
        ("POST", "run_application", operating.run_application),
        ("POST", "test_connection", operating.test_connection),
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
