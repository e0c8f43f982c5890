"""Answers in the contract's form: 200 with a `message`, or a code with an `error`.

The server's client takes 200 alone for success and stumbles over codes that Java's JAX-RS does not know, 422
among them. Those sent here are 200, 400, 401, 404, 405, 500 and 503.
"""

import logging
import re
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ingestion_operator.errors import ClusterError, Conflict, LogRangeError, NotFound, Rejected, StoreError, Unavailable

_logger = logging.getLogger(__name__)

_FIXED: Final = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "The ingestion gateway failed. Its log has the details.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The ingestion gateway cannot reach Kubernetes in time. Try again later.",
}
"""What a caller learns of a failure on this side; the rest is for the log."""

_NO_ARCHIVE: Final = "The ingestion gateway cannot read the log archive. Its log has the details."


def message(text: str) -> JSONResponse:
    """Return the answer to an operation that succeeded."""
    return JSONResponse({"message": text})


def error(code: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that the caller has to change."""
    # A server that finds the words in a 400 fetches another token and sends the request a second time.
    harmless = re.sub(r"(?i)csrf[\s_-]+token", "CSRFtoken", text)
    return JSONResponse({"error": harmless}, code, headers)


def failure(code: HTTPStatus) -> JSONResponse:
    """Return the answer for what went wrong on this side."""
    return JSONResponse({"error": _FIXED[code]}, code)


def _refused(_: Request, found: Exception) -> JSONResponse:
    return error(HTTPStatus.BAD_REQUEST, str(found))


def _unknown(_: Request, found: Exception) -> JSONResponse:
    return error(HTTPStatus.NOT_FOUND, str(found))


def _away(_: Request, found: Exception) -> JSONResponse:
    _logger.warning("The cluster does not serve: %s", found)
    return failure(HTTPStatus.SERVICE_UNAVAILABLE)


def _unread(_: Request, found: Exception) -> JSONResponse:
    _logger.error("The log archive cannot be read: %s", found)
    return JSONResponse({"error": _NO_ARCHIVE}, HTTPStatus.SERVICE_UNAVAILABLE)


def _failed(_: Request, found: Exception) -> JSONResponse:
    _logger.error("The cluster refuses: %s", found)
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR)


def _crashed(_: Request, _found: Exception) -> JSONResponse:
    # Starlette raises it once more after this answer; the outermost layer logs it.
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR)


def _unrouted(_: Request, found: Exception) -> JSONResponse:
    assert isinstance(found, HTTPException)  # noqa: S101  it is registered for nothing else
    headers = dict(found.headers) if found.headers else None
    return error(HTTPStatus(found.status_code), found.detail, headers)


def translate_errors(app: FastAPI) -> None:
    """Let the errors of services become answers. What is none of these is a 500."""
    handlers: dict[type[Exception], Any] = {
        Rejected: _refused,
        LogRangeError: _refused,
        NotFound: _unknown,
        Unavailable: _away,
        Conflict: _away,  # other clients kept writing: the same request may succeed later
        ClusterError: _failed,
        StoreError: _unread,
        HTTPException: _unrouted,
        Exception: _crashed,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
