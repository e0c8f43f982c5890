"""The one place where HTTP errors of the API server become this program's own."""

import json

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
    return kind(f"{method} {path}: HTTP {code}: {_message(body)}", code=code)


def _message(body: bytes | str) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
