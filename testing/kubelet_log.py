"""A container's log as the kubelet keeps and serves it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

NANOSECONDS = 1_000_000_000


@dataclass
class KubeletLog:
    """Entries of the current log file; `rotate` takes older ones away.

    Like the kubelet's: each entry has a time of its own; a long line is several entries, of which the first one
    served gets the time before it; `since` drops entries one by one, wherever they stand.
    """

    entries: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, nanoseconds: int, text: bytes) -> None:
        """Write an entry; one without a line break is a part of a line."""
        self.entries.append((nanoseconds, text))

    def rotate(self, *, keep: int) -> None:
        """Leave the last `keep` entries."""
        self.entries = self.entries[len(self.entries) - keep :]

    @property
    def text(self) -> bytes:
        """What is there, without times."""
        return b"".join(text for _, text in self.entries)

    def serve(self, since: datetime | None) -> bytes:
        """Answer a request with `timestamps=true`."""
        return b"".join(self.served(since))

    def served(self, since: datetime | None) -> list[bytes]:
        """The same, an item per entry; the items of those left out are empty."""
        return list(self.items(since))

    def items(self, since: datetime | None, start: int = 0) -> Iterator[bytes]:
        """The same one by one, from entry `start` on."""
        from_when = 0 if since is None else int(since.timestamp()) * NANOSECONDS
        is_new_line = start == 0 or self.entries[start - 1][1].endswith(b"\n")
        for nanoseconds, text in self.entries[start:]:
            prefix = stamp(nanoseconds) if is_new_line else b""
            yield prefix + text if nanoseconds >= from_when else b""
            is_new_line = text.endswith(b"\n")


def stamp(nanoseconds: int) -> bytes:
    """The time before a line."""
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % NANOSECONDS:09}Z ".encode()
