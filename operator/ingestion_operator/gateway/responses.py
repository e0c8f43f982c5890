"""Responses in the form of the contract: 200 with a `message`, or another status code with an `error`.

The server's client treats only 200 as success and fails on status codes that Java's JAX-RS does not know, such as 422.
The gateway sends 200, 400, 401, 404, 405, 500 and 503 (docs/development/rest-contract.md).
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
"""The error of a failure of the gateway or the cluster. Details are only logged."""

_NO_ARCHIVE: Final = "The ingestion gateway cannot read the log archive. Its log has the details."


def message(text: str) -> JSONResponse:
    """Return the response of a successful operation."""
    return JSONResponse({"message": text})


def error(code: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the response to a request that the caller has to change."""
    # A server that finds "csrf token" in a 400 fetches another token and repeats the request.
    safe = re.sub(r"(?i)csrf[\s_-]+token", "CSRFtoken", text)
    return JSONResponse({"error": safe}, code, headers)


def failure(code: HTTPStatus) -> JSONResponse:
    """Return the response for a failure of the gateway or the cluster."""
    return JSONResponse({"error": _FIXED[code]}, code)


def _invalid(_: Request, found: Exception) -> JSONResponse:
    return error(HTTPStatus.BAD_REQUEST, str(found))


def _not_found(_: Request, found: Exception) -> JSONResponse:
    return error(HTTPStatus.NOT_FOUND, str(found))


def _unavailable(_: Request, found: Exception) -> JSONResponse:
    _logger.warning("The cluster is unavailable: %s", found)
    return failure(HTTPStatus.SERVICE_UNAVAILABLE)


def _archive_failed(_: Request, found: Exception) -> JSONResponse:
    _logger.error("The log archive cannot be read: %s", found)
    return JSONResponse({"error": _NO_ARCHIVE}, HTTPStatus.SERVICE_UNAVAILABLE)


def _cluster_failed(_: Request, found: Exception) -> JSONResponse:
    _logger.error("The cluster rejects a call: %s", found)
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR)


def _crashed(_: Request, _found: Exception) -> JSONResponse:
    # Starlette raises it again after this response; the outermost layer logs it.
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR)


def _http_error(_: Request, found: Exception) -> JSONResponse:
    assert isinstance(found, HTTPException)  # noqa: S101  registered for this type only
    headers = dict(found.headers) if found.headers else None
    return error(HTTPStatus(found.status_code), found.detail, headers)


def translate_errors(app: FastAPI) -> None:
    """Register the responses for errors of the service. Any other error becomes a 500."""
    handlers: dict[type[Exception], Any] = {
        Rejected: _invalid,
        LogRangeError: _invalid,
        NotFound: _not_found,
        Unavailable: _unavailable,
        Conflict: _unavailable,  # other clients kept writing; the same request may succeed later
        ClusterError: _cluster_failed,
        StoreError: _archive_failed,
        HTTPException: _http_error,
        Exception: _crashed,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
