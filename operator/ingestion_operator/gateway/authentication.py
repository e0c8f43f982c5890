"""HTTP Basic authentication for everything except `health`."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.paths import is_open
from ingestion_operator.gateway.responses import error

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="ingestion", charset="UTF-8"'}


class BasicAuthentication:
    """Responds with 401 to requests without valid credentials, before reading a body, and also on unknown paths."""

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        offered = Headers(scope=scope).get("authorization", "")
        if is_open(scope["method"], scope["path"]) or self._credentials.accept(offered.encode("latin-1")):
            await self._app(scope, receive, send)
            return
        await error(HTTPStatus.UNAUTHORIZED, "The username or password is wrong.", _CHALLENGE)(scope, receive, send)
