"""Where the endpoints are."""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

ROOTS: Final = ("/api/v1/openmetadata", "/pluginsv2/api/v2/openmetadata")
"""The root that every server from 0.12 on knows, and the one that newer servers try first."""

ENDPOINTS: Final = frozenset(
    {
        "health", "health-auth", "csrf-token", "ip", "deploy", "trigger", "enable", "disable", "kill", "delete",
        "status", "last_dag_logs", "run_automation", "run_application", "test_connection",
    }
)  # fmt: skip

OTHER: Final = "other"


def endpoint_of(path: str) -> str:
    """Return the endpoint's name, or "other": a set small enough for a metric's label."""
    for root in ROOTS:
        name = path.removeprefix(f"{root}/")
        if name != path and name in ENDPOINTS:
            return name
    return OTHER


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no credentials: `health` alone."""
    return method == "GET" and endpoint_of(path) == "health"


class CollapsedSlashes:
    """Makes one slash of many: an `apiEndpoint` that ends in a slash yields `//api/v1/…` in every server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the path that was meant."""
        await self._app({**scope, "path": re.sub("/{2,}", "/", scope["path"])}, receive, send)
