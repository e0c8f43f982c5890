"""What goes in and out of the fake OpenMetadata server, free of any HTTP library."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote


class ApiError(Exception):
    """An answer other than success; the body is what OpenMetadata's own errors look like."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class InvalidBodyError(ApiError):
    """400: the body does not fit the model of openmetadata-ingestion. Recorded as invalid."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


@dataclass(frozen=True)
class Request:
    """One HTTP request; `segments` is the path split at `/`, decoded, without empty parts."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def parse(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> "Request":
        """Split a request target; header names are lower case in the result."""
        path, _, query = target.partition("?")
        return cls(
            method=method,
            # Splitting before decoding keeps an encoded slash inside its name; empty parts go
            # because clients join "http://host/api/" and "/v1/..." carelessly.
            segments=tuple(unquote(part) for part in path.split("/") if part),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
        )

    @property
    def path(self) -> str:
        return "/" + "/".join(self.segments)

    @cached_property
    def json(self) -> Any:
        """The decoded body; raises InvalidBodyError."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise InvalidBodyError(f"the body is not JSON: {error}") from error

    @property
    def json_object(self) -> dict[str, Any]:
        """The decoded body, which must be an object; raises InvalidBodyError."""
        if not isinstance(self.json, dict):
            raise InvalidBodyError("the body is not a JSON object")
        return self.json


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; `content` None means an empty body."""

    status: int = 200
    content: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        if self.content is None:
            return b""
        if isinstance(self.content, str):
            return self.content.encode()
        return json.dumps(self.content).encode()


def error_reply(status: int, message: str) -> Reply:
    """The JSON error that the ingestion client recognises by its `code`."""
    return Reply(status, {"code": status, "message": message})
