"""Parsing of requests. OpenMetadata's client labels every body as `application/json` and form-encodes queries."""

import asyncio
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from ingestion_operator.errors import Rejected

BODY_LIMIT: Final = 5 * 1024 * 1024
"""Bytes. The API server rejects objects above 3 MiB."""

_BODY_SECONDS: Final = 10.0
NAME_LIMIT: Final = 256
"""Longest name of a pipeline in OpenMetadata, in characters."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PAGE_DIGITS: Final = 9
_BOOLEANS: Final = {"true": True, "false": False}


def _reject(text: str) -> NoReturn:
    raise Rejected("InvalidRequest", text)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, whatever its content type.

    Raises:
        Rejected: InvalidRequest: the body is not a JSON object in UTF-8, too large, too slow or incomplete.
    """
    body = await _read_body(request)
    try:
        document = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        if _SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is not a character
    except (ValueError, RecursionError):
        _reject("The body is not JSON")
    if not isinstance(document, dict):
        _reject("The body is not a JSON object")
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # NaN, Infinity, 1e999: only Python reads them
        raise ValueError(text)
    return value


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    _reject(f"The body is larger than {BODY_LIMIT} bytes")
    except TimeoutError:
        _reject(f"The body did not arrive within {_BODY_SECONDS:.0f} s")
    except ClientDisconnect:
        _reject("The body ended early")
    return bytes(body)


def read_query(request: Request) -> dict[str, str]:
    """Return the parameters of the query. Empty ones are left out; of repeated ones the first counts.

    Raises:
        Rejected: InvalidRequest: the query is not in UTF-8.
    """
    try:
        pairs = parse_qsl(request.scope["query_string"].decode(), errors="strict")
    except ValueError:
        _reject("The query is not in UTF-8")
    return dict(reversed(pairs))


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID in its usual form of 36 characters."""
    return _UUID.fullmatch(text) is not None


class Parameters:
    """Reads parameters from a query or a body. `check` raises one Rejected with a line for each invalid parameter."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "", problems: list[str] | None = None) -> None:
        self._values = values
        self._prefix = prefix
        self._problems: list[str] = [] if problems is None else problems

    @property
    def keys(self) -> frozenset[str]:
        """Return the names of the given parameters."""
        return frozenset(self._values)

    def pipeline_name(self, key: str = "dag_id") -> str:
        """Return the name of a pipeline in OpenMetadata."""
        value = self._values.get(key)
        if value is None or value == "":
            self._problems.append(f"Missing parameter '{self._prefix}{key}'")
        elif not isinstance(value, str) or len(value) > NAME_LIMIT:
            self._invalid(key, f"text of 1 to {NAME_LIMIT} characters")
        else:
            return value
        return ""

    def boolean(self, key: str) -> bool:
        """Return a boolean; the default is False."""
        value = self._values.get(key, "false")
        if value.lower() not in _BOOLEANS:
            self._invalid(key, "true or false")
        return _BOOLEANS.get(value.lower(), False)

    def page(self, key: str) -> int | None:
        """Return the index of a page."""
        value = self._values.get(key)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= _PAGE_DIGITS):
            self._invalid(key, "the number of a page, counted from 0")
            return None
        return int(value)

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Return an object; null counts as absent."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, dict):
            self._invalid(key, "an object")
            return None
        return value

    def uuid(self, key: str) -> str | None:
        """Return a UUID in its usual form of 36 characters, unchanged; null counts as absent."""
        value = self._values.get(key)
        if value is not None and not (isinstance(value, str) and is_uuid(value)):
            self._invalid(key, "a UUID")
            return None
        return value

    def inside(self, key: str) -> "Parameters":
        """Return the parameters of a nested object; `check` of this object reports their problems too."""
        return Parameters(self.mapping(key) or {}, f"{self._prefix}{key}.", self._problems)

    def check(self) -> None:
        """Raise Rejected (InvalidRequest) if any parameter is invalid."""
        if self._problems:
            _reject("\n".join(self._problems))

    def _invalid(self, key: str, expected: str) -> None:
        self._problems.append(f"Invalid parameter value for '{self._prefix}{key}': must be {expected}")
