"""The outermost layer: gives every request an id, a log line and metrics, and turns an unexpected error into a 500."""

import logging
import re
import time
import uuid
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.gateway.paths import endpoint_of, is_open
from ingestion_operator.gateway.responses import failure
from ingestion_operator.runtime.json_logging import log_context

_logger = logging.getLogger(__name__)

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_PATH_LIMIT: Final = 200


class AccessLog:
    """Logs method, path, status code and duration; no queries, headers or bodies, since they may hold secrets."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request. Never raises an error of the application."""
        current = _id_of(scope)
        with log_context(requestId=current):
            await self._serve(scope, receive, send, current)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, current: str) -> None:
        status = 0
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = current
            await send(message)

        try:
            with self._metrics.in_flight.track_inprogress():
                await self._app(scope, receive, send_with_id)
        except Exception:
            _logger.exception("Request failed")
            if not status:
                await failure(HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send_with_id)
        finally:
            self._account(scope, status, time.perf_counter() - start)

    def _account(self, scope: Scope, code: int, seconds: float) -> None:
        method, path = scope["method"], scope["path"]
        endpoint = endpoint_of(path)
        self._metrics.requests.labels(endpoint, str(code)).inc()
        self._metrics.seconds.labels(endpoint).observe(seconds)
        # A load balancer may ask for `health` every second.
        level = logging.DEBUG if is_open(method, path) and code == HTTPStatus.OK else logging.INFO
        fields = {
            "method": method,
            "path": path[:_PATH_LIMIT],
            "code": code,
            "seconds": round(seconds, 4),
            "client": scope["client"][0].removeprefix("::ffff:") if scope.get("client") else None,
        }
        _logger.log(level, "Request", extra={"fields": fields})


def _id_of(scope: Scope) -> str:
    """Return the caller's id if it is safe in a log line, otherwise a new one."""
    offered = Headers(scope=scope).get("x-request-id", "")
    return offered if _SAFE_ID.fullmatch(offered) else uuid.uuid4().hex
