"""The one place where HTTP errors of the API server become this program's own."""

import json
from typing import Any

from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable

_BY_CODE: dict[int, type[ClusterError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: Unavailable,
}


def error_of(method: str, path: str, code: int, body: bytes | str) -> ClusterError:
    """Return the error for an answer; its text holds verb, path, code and the API server's own message."""
    kind = _BY_CODE.get(code, Unavailable if code == 0 or code >= 500 else ClusterError)  # noqa: PLR2004  server errors
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    status = _status(text)
    if kind is Invalid and _names_uid(status):
        kind = Conflict  # the object was replaced by another of its name; the API server calls the uid immutable
    return kind(f"{method} {path}: HTTP {code}: {status.get('message', text[:200])}", code=code)


def _status(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _names_uid(status: dict[str, Any]) -> bool:
    causes = (status.get("details") or {}).get("causes") or []
    return any(cause.get("field") == "metadata.uid" for cause in causes)
