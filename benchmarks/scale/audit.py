"""The calls of one account, as the API server's own audit log has them."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
Call = tuple[str, str]
"""Verb, and resource with its subresource."""


@dataclass
class Calls:
    """How often each call was made, and what is watched."""

    counts: Counter[Call] = field(default_factory=Counter)
    watched: set[str] = field(default_factory=set)
    """Resources of which a watch was opened: after its list, and after the operator's first round."""

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.counts.values())

    @property
    def writes(self) -> int:
        """Those that write, the sign of life in the Lease excepted."""
        return sum(count for (verb, resource), count in self.counts.items() if verb in WRITES and resource != "leases")

    def table(self) -> dict[str, int]:
        """The counts by names such as `get cronjobs`, the most frequent first."""
        return {" ".join(call): count for call, count in self.counts.most_common()}


class AuditLog:
    """Reads on from where it stopped, so that a large log is read once."""

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user
        self._offset = path.stat().st_size

    def skip(self) -> Self:
        """Leave out what was written up to now."""
        self._offset = self._path.stat().st_size
        return self

    def from_here(self) -> "AuditLog":
        """Another reader of the same calls, which begins now."""
        return AuditLog(self._path, self._user)

    def read(self, into: Calls) -> Calls:
        """Add the calls since the last reading, those that are complete."""
        needle = f'"{self._user}"'.encode()
        with self._path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # still being written
                self._offset += len(line)
                if needle in line:
                    _count(json.loads(line), into)
        return into


def _count(event: dict[str, object], into: Calls) -> None:
    target = event.get("objectRef")
    if not isinstance(target, dict):
        return
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    if (event.get("stage"), event["verb"]) == ("ResponseStarted", "watch"):
        into.watched.add(resource)
    elif event.get("stage") == "ResponseComplete":
        into.counts[str(event["verb"]), resource] += 1
