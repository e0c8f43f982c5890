"""The paths of the endpoints."""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

ROOTS: Final = ("/api/v1/openmetadata", "/pluginsv2/api/v2/openmetadata")
"""The root that all servers from 0.12 on use, and the one that newer servers try first."""

ENDPOINTS: Final = frozenset(
    {
        "health", "health-auth", "csrf-token", "ip", "deploy", "trigger", "enable", "disable", "kill", "delete",
        "status", "last_dag_logs", "run_automation", "run_application", "test_connection",
    }
)  # fmt: skip

OTHER: Final = "other"


def endpoint_of(path: str) -> str:
    """Return the name of the endpoint, or "other". Used as a metric label, so the set of values is small."""
    for root in ROOTS:
        name = path.removeprefix(f"{root}/")
        if name != path and name in ENDPOINTS:
            return name
    return OTHER


def is_open(method: str, path: str) -> bool:
    """Return whether a request needs no credentials, which only holds for `health`."""
    return method == "GET" and endpoint_of(path) == "health"


class CollapsedSlashes:
    """Collapses repeated slashes: with an `apiEndpoint` that ends in a slash, every server requests `//api/v1/…`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with single slashes in its path."""
        await self._app({**scope, "path": re.sub("/{2,}", "/", scope["path"])}, receive, send)
