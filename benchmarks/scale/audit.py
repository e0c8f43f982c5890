"""The calls of one account, as the API server's own audit log has them."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from testcluster.errors import TestClusterError

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
Call = tuple[str, str]
"""Verb, and resource with its subresource."""

_LEASES: Final = "leases"
_REVIEWS: Final = "authorization.k8s.io"
"""The API group of requests that ask for permissions: they are created, and yet write nothing."""


@dataclass
class Calls:
    """How often each call was made, and what is watched."""

    counts: Counter[Call] = field(default_factory=Counter)
    watched: set[str] = field(default_factory=set)
    """Resources of which a watch was opened."""

    @property
    def total(self) -> int:
        """All requests, the Lease's and the ends of watches among them."""
        return self.counts.total()

    @property
    def requests(self) -> int:
        """All that read or write, without the Lease."""
        return self.gets + self.lists + self.writes

    @property
    def gets(self) -> int:
        """Those that read one object, without the Lease."""
        return self._count({"get"})

    @property
    def lists(self) -> int:
        """Those that read many objects."""
        return self._count({"list"})

    @property
    def writes(self) -> int:
        """Those that write, without the Lease."""
        return self._count(WRITES)

    def table(self) -> dict[str, int]:
        """The counts by names such as `get cronjobs`, the most frequent first."""
        return {" ".join(call): count for call, count in self.counts.most_common()}

    def _count(self, verbs: "frozenset[str] | set[str]") -> int:
        return sum(n for (verb, resource), n in self.counts.items() if verb in verbs and resource != _LEASES)


class AuditLog:
    """Reads on from where it stopped, so that a large log is read once, also after the API server has rotated it."""

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user
        self._position()

    def skip(self) -> Self:
        """Leave out what was written up to now."""
        self._position()
        return self

    def from_here(self) -> "AuditLog":
        """Another reader of the same calls, which begins now."""
        return AuditLog(self._path, self._user)

    def read(self, into: Calls) -> Calls:
        """Add the complete calls since the last reading. Raises TestClusterError where some are lost."""
        needle = f'"{self._user}"'.encode()
        for path in self._files():
            for line in self._lines(path):
                if needle in line:
                    _count(json.loads(line), into)
        return into

    def _position(self) -> None:
        now = self._path.stat()
        self._inode, self._offset = now.st_ino, now.st_size

    def _files(self) -> Iterator[Path]:
        """Yield the file that was read last, under its new name if it was rotated, and then its successor."""
        now = self._path.stat().st_ino
        if now != self._inode:
            siblings = self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}")
            rotated = next((path for path in siblings if path.stat().st_ino == self._inode), None)
            if rotated is None:
                raise TestClusterError(
                    f"{self._path} was rotated more than once between two readings: requests are lost"
                )
            yield rotated
            self._inode, self._offset = now, 0
        yield self._path

    def _lines(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # still being written
                self._offset += len(line)
                yield line


def _count(event: dict[str, object], into: Calls) -> None:
    target = event.get("objectRef")
    if not isinstance(target, dict) or target.get("apiGroup") == _REVIEWS:
        return
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    if (event.get("stage"), event["verb"]) == ("ResponseStarted", "watch"):
        into.watched.add(resource)
    elif event.get("stage") == "ResponseComplete":
        into.counts[str(event["verb"]), resource] += 1
