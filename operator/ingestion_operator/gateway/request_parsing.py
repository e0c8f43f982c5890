"""Requests, read by hand: the server's client sends `application/json` with everything and encodes as forms do."""

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
"""Bytes. The API server takes no object above 3 MiB."""

_BODY_SECONDS: Final = 10.0
NAME_LIMIT: Final = 256
"""Characters of a pipeline's name in OpenMetadata."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PAGE_DIGITS: Final = 9
_BOOLEANS: Final = {"true": True, "false": False}


def _reject(text: str) -> NoReturn:
    raise Rejected("InvalidRequest", text)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object in UTF-8; the content type is not looked at.

    Raises Rejected.
    """
    body = await _read_body(request)
    try:
        document = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        if _SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (ValueError, RecursionError):
        _reject("The body is not JSON")
    if not isinstance(document, dict):
        _reject("The body is not a JSON object")
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # NaN, Infinity, 1e999: Python would read what nobody else does
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
    """Return the parameters of the query; an empty one is an absent one, of equal ones the first counts.

    Raises Rejected.
    """
    try:
        pairs = parse_qsl(request.scope["query_string"].decode(), errors="strict")
    except ValueError:
        _reject("The query is not in UTF-8")
    return dict(reversed(pairs))


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual form of 36 characters."""
    return _UUID.fullmatch(text) is not None


class Parameters:
    """Takes parameters out of a query or a body; `check` raises one Rejected with a line for each wrong one."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "", problems: list[str] | None = None) -> None:
        self._values = values
        self._prefix = prefix
        self._problems: list[str] = [] if problems is None else problems

    @property
    def keys(self) -> frozenset[str]:
        """The names of what was given."""
        return frozenset(self._values)

    def pipeline_name(self, key: str = "dag_id") -> str:
        """Return the name of a pipeline, as OpenMetadata has it."""
        value = self._values.get(key)
        if value is None or value == "":
            self._problems.append(f"Missing parameter '{self._prefix}{key}'")
        elif not isinstance(value, str) or len(value) > NAME_LIMIT:
            self._wrong(key, f"text of 1 to {NAME_LIMIT} characters")
        else:
            return value
        return ""

    def boolean(self, key: str) -> bool:
        """Return `true` or `false`; absent is false."""
        value = self._values.get(key, "false")
        if value.lower() not in _BOOLEANS:
            self._wrong(key, "true or false")
        return _BOOLEANS.get(value.lower(), False)

    def page(self, key: str) -> int | None:
        """Return the index of a page."""
        value = self._values.get(key)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= _PAGE_DIGITS):
            self._wrong(key, "the number of a page, counted from 0")
            return None
        return int(value)

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Return an object; null is absent."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, dict):
            self._wrong(key, "an object")
            return None
        return value

    def uuid(self, key: str) -> str | None:
        """Return a UUID in its usual form of 36 characters, unchanged; null is absent."""
        value = self._values.get(key)
        if value is not None and not (isinstance(value, str) and is_uuid(value)):
            self._wrong(key, "a UUID")
            return None
        return value

    def inside(self, key: str) -> "Parameters":
        """Return the parameters of an object inside; its problems are found by `check` of this one."""
        return Parameters(self.mapping(key) or {}, f"{self._prefix}{key}.", self._problems)

    def check(self) -> None:
        """Raise Rejected if anything was wrong."""
        if self._problems:
            _reject("\n".join(self._problems))

    def _wrong(self, key: str, expected: str) -> None:
        self._problems.append(f"Invalid parameter value for '{self._prefix}{key}': must be {expected}")
