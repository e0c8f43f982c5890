"""The record of all calls, bounded in number and in bytes."""

import json
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from .wire import Request

LONGEST_BODY = 64 * 1024
MOST_CALLS = 20_000
MOST_BYTES = 32 * 1024 * 1024
UNRECORDED_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True)
class Call:
    """One recorded call; `at` is seconds since the epoch at its arrival."""

    number: int
    at: float
    seconds: float
    request: Request
    body: bytes
    status: int
    invalid: str | None
    unknown: bool

    def to_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "number": self.number,
            "at": self.at,
            "seconds": self.seconds,
            "method": request.method,
            "path": request.path,
            "query": dict(request.query),
            "headers": {k: v for k, v in request.headers.items() if k not in UNRECORDED_HEADERS},
            "body": self._shown_body(),
            "status": self.status,
            "invalid": self.invalid,
            "unknown": self.unknown,
        }

    def _shown_body(self) -> Any:
        """Decoded JSON where the whole body was kept, else text."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace")


class CallLog:
    """Keeps the newest calls."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._bytes = 0
        self._count = 0

    def add(
        self, request: Request, *, at: float, seconds: float, status: int, invalid: str | None, unknown: bool
    ) -> None:
        self._count += 1
        body = request.body[:LONGEST_BODY]
        # The request's own body is let go: it may be megabytes long.
        kept = Request(request.method, request.segments, request.query, request.headers)
        self._calls.append(Call(self._count, at, seconds, kept, body, status, invalid, unknown))
        self._bytes += len(body)
        while len(self._calls) > MOST_CALLS or self._bytes > MOST_BYTES:
            self._bytes -= len(self._calls.popleft().body)

    def clear(self) -> None:
        self._calls.clear()
        self._bytes = 0

    def select(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        """Oldest first. Filters: method, path (regex), after (number), invalid, unknown (true)."""
        path = re.compile(wanted.get("path", ""))
        after = int(wanted.get("after", "0"))
        return [
            call.to_json()
            for call in self._calls
            if call.number > after
            and wanted.get("method", call.request.method) == call.request.method
            and path.search(call.request.path)
            and (call.invalid is not None or wanted.get("invalid") != "true")
            and (call.unknown or wanted.get("unknown") != "true")
        ]
