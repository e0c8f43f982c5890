"""Faults on demand: delays, error answers, cut connections, refused rows of bulk requests."""

import re
from dataclasses import dataclass
from typing import Any

from .wire import InvalidBodyError, Request

KEYS = {"method", "path", "status", "times", "delaySeconds", "entity", "message"}


@dataclass
class Fault:
    """`status` None only delays, 0 cuts the connection; `times` None is for ever.

    With `entity` (a regular expression on names) the request itself is served, and only the matching
    rows of a bulk request are refused with `status`.
    """

    method: str | None
    path: re.Pattern[str]
    status: int | None
    times: int | None
    delay_seconds: float
    entity: re.Pattern[str] | None
    message: str

    @classmethod
    def from_json(cls, given: Any) -> "Fault":
        if not isinstance(given, dict) or not given.keys() <= KEYS:
            raise InvalidBodyError(f"a fault is an object with keys of {sorted(KEYS)}, not {given!r}")
        try:
            return cls(
                method=given.get("method"),
                path=re.compile(given.get("path") or ""),
                status=given.get("status"),
                times=given.get("times"),
                delay_seconds=float(given.get("delaySeconds") or 0),
                entity=re.compile(given["entity"]) if given.get("entity") else None,
                message=given.get("message") or "a fault was asked for",
            )
        except (re.error, TypeError, ValueError) as error:
            raise InvalidBodyError(f"{given!r}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "path": self.path.pattern,
            "status": self.status,
            "times": self.times,
            "delaySeconds": self.delay_seconds,
            "entity": self.entity.pattern if self.entity else None,
            "message": self.message,
        }

    def matches(self, request: Request) -> bool:
        return self.times != 0 and self.method in (None, request.method) and bool(self.path.search(request.path))

    def use(self) -> None:
        if self.times is not None:
            self.times -= 1


class Faults:
    """The faults in force, in the order given; the first that matches counts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def replace(self, given: Any) -> None:
        if not isinstance(given, list):
            raise InvalidBodyError("faults are a list")
        self._faults = [Fault.from_json(fault) for fault in given]

    def to_json(self) -> list[dict[str, Any]]:
        return [fault.to_json() for fault in self._faults]

    def for_request(self, request: Request) -> Fault | None:
        """The fault for the whole request, used up by one."""
        found = next((f for f in self._faults if f.entity is None and f.matches(request)), None)
        if found is not None:
            found.use()
        return found

    def for_row(self, request: Request, name: str) -> Fault | None:
        """The fault for one entity of a bulk request, used up by one."""
        for fault in self._faults:
            if fault.entity is not None and fault.matches(request) and fault.entity.search(name):
                fault.use()
                return fault
        return None
