"""A place in a container's log that outlives connections, pods and this program; pure.

The kubelet serves a log with a time before each line and can leave out what is older than a second, but it has no
offsets. A place is therefore the latest time seen so far, and how many bytes of text have been taken since the
first line of that time: the lines before it are all older, and what follows is counted whatever its time, since
standard output and error may be stamped out of order. A line that is longer than any buffer needs nothing special.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

_NANOSECONDS: Final = 1_000_000_000
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})(Z|[+-]\d\d:\d\d) ")
_STAMP_BYTES: Final = 36
"""The longest stamp, with an offset and the blank after it."""

_MARGIN: Final = timedelta(seconds=1)
"""Asked for beyond the place itself: lines after it may be stamped a little earlier, and have been counted."""

_SILENT_START: Final = timedelta(seconds=60)
"""A container whose first line is later than this has said something before that is no longer there."""

_COMPLAINT_BYTES: Final = 200

_Line = Literal["known", "taken", "foreign"]


@dataclass(frozen=True, order=True)
class Position:
    """How far a log has been taken: the latest time, and the bytes of text since the first line of that time."""

    nanoseconds: int
    """Since 1970 in UTC."""
    offset: int

    @property
    def since(self) -> datetime | None:
        """From when on the kubelet has to be asked to go on here; None for the whole log."""
        if not self.nanoseconds:
            return None
        return datetime.fromtimestamp(self.nanoseconds // _NANOSECONDS, UTC) - _MARGIN


START: Final = Position(0, 0)


class LogCursor:
    """Takes the times off a log's lines and goes on exactly where it was, over any number of connections."""

    def __init__(self, position: Position = START, *, begun: datetime | None = None) -> None:
        """Go on at `position`. `begun` is when the container started, to tell whether its first lines are missing."""
        self._begun = begun
        self._latest, self._offset = position.nanoseconds, position.offset
        self._target = position
        self._is_searching = True
        self._second: tuple[bytes, int] = (b"", 0)
        self.begin()

    def begin(self) -> None:
        """Expect the answer to a request for the log since `position.since`."""
        self._target = self.position
        self._latest, self._offset = self._target.nanoseconds, self._target.offset
        self._is_searching = True
        self._skip = 0
        self._head = b""
        self._in_line = False
        self._line: _Line = "known"
        self._complaint = b""

    @property
    def position(self) -> Position:
        """The place after all that has been returned."""
        is_behind = self._is_searching or self._skip > 0
        return self._target if is_behind else Position(self._latest, self._offset)

    @property
    def complaint(self) -> str:
        """What the kubelet said last in place of the log; empty if it ended with a line of the log.

        It reports errors in the body of an answer that had begun as a success.
        """
        return (self._complaint + self._head).decode(errors="replace").strip()

    def feed(self, chunk: bytes) -> bytes:
        """Return the text in the next bytes that has not been returned before.

        Where lines are missing between the place and what is served now, a line that says so comes first.
        """
        data = self._head + chunk
        self._head = b""
        taken: list[bytes] = []
        start = 0
        while start < len(data):
            if not self._in_line:
                stamp = _STAMP.match(data, start)
                if stamp is None and len(data) - start < _STAMP_BYTES and b"\n" not in data[start:]:
                    self._head = data[start:]
                    break
                start = self._begin_line(stamp, start, taken)
            end = data.find(b"\n", start) + 1
            self._in_line = end == 0
            text = data[start : end or len(data)]
            start += len(text)
            if self._line == "taken":
                taken.append(self._unknown_part(text))
            elif self._line == "foreign":
                self._complaint = (self._complaint + text)[:_COMPLAINT_BYTES]
        return b"".join(taken)

    def _begin_line(self, stamp: re.Match[bytes] | None, start: int, taken: list[bytes]) -> int:
        """Decide what becomes of a line; return where its text begins."""
        moment = self._moment(stamp) if stamp else None
        self._complaint = b""
        if stamp is None or moment is None:
            # The rest of a line whose first part was too old, or the kubelet's own words.
            self._line = "foreign"
            return start
        if self._is_searching and moment >= self._target.nanoseconds:
            self._is_searching = False
            self._latest, self._offset = moment, 0
            if self._is_gap(moment):
                taken.append(_gap(self._target.nanoseconds, moment))
            else:
                self._skip = self._target.offset
        elif moment > self._latest:
            self._latest, self._offset = moment, 0
        self._line = "known" if self._is_searching else "taken"
        return stamp.end()

    def _unknown_part(self, text: bytes) -> bytes:
        self._offset += len(text)
        skipped = min(self._skip, len(text))
        self._skip -= skipped
        return text[skipped:]

    def _is_gap(self, moment: int) -> bool:
        if self._target != START:
            return moment > self._target.nanoseconds
        if self._begun is None:
            return False
        return moment > int((self._begun + _SILENT_START).timestamp()) * _NANOSECONDS

    def _moment(self, stamp: re.Match[bytes]) -> int | None:
        second, fraction, zone = stamp.groups()
        key = second + zone
        if key != self._second[0]:  # neighbours mostly share their second
            try:
                self._second = key, int(datetime.fromisoformat(key.decode()).timestamp())
            except ValueError:
                return None
        return self._second[1] * _NANOSECONDS + int(fraction)


def _gap(last: int, first: int) -> bytes:
    since = f"after {_time(last)}" if last else "from the start"
    return f"\n[… lines may be missing here, {since} and before {_time(first)}: they were gone when read …]\n".encode()


def _time(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds // _NANOSECONDS, UTC):%Y-%m-%dT%H:%M:%SZ}"
