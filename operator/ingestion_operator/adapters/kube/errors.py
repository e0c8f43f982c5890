"""Translation of the API server's HTTP errors to the errors of this program."""

import json
from typing import Any, Final

from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable

_BY_CODE: dict[int, type[ClusterError]] = {
    400: Invalid,
    401: Unavailable,  # the token was just replaced: it is read again, and the call retried
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: Unavailable,
}


_ASKS_TO_WAIT: Final = (429, 503)

LOG_CODES: Final = frozenset({200, 204})
"""The codes of a response with a log; 204 is the empty log of a pod without a node."""


def seconds_to_wait(code: int, retry_after: str | None) -> float | None:
    """Return the seconds of Retry-After in a response of an overloaded API server, which never sends dates, or None."""
    value = (retry_after or "").strip()
    return float(value) if code in _ASKS_TO_WAIT and value.isascii() and value.isdecimal() else None


def error_of(method: str, path: str, code: int, body: bytes | str, *, retry_after: float | None = None) -> ClusterError:
    """Return the error for a response, with verb, path, code and the API server's message."""
    kind = _BY_CODE.get(code, Unavailable if code == 0 or code >= 500 else ClusterError)  # noqa: PLR2004  server errors
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    status = _status(text)
    if kind is Invalid and _names_uid(status):
        kind = Conflict  # the object was replaced by another one with its name; the API server reports an immutable uid
    message = f"{method} {path}: HTTP {code}: {status.get('message', text[:200])}"
    return Unavailable(message, code=code, retry_after=retry_after) if kind is Unavailable else kind(message, code=code)


def _status(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _names_uid(status: dict[str, Any]) -> bool:
    causes = (status.get("details") or {}).get("causes") or []
    return any(cause.get("field") == "metadata.uid" for cause in causes)
