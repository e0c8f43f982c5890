"""A position in a container's log that is valid across connections, pods and restarts of this program; pure.

The kubelet serves a log with a timestamp before each line and can leave out lines older than a given second, but it
has no offsets. A position is therefore the latest timestamp so far, and the number of bytes of text since the first
line with that timestamp. All lines before that line are older. All text after it is counted whatever its timestamp,
since the timestamps of standard output and standard error may be out of order. Long lines need no special treatment.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

_NANOSECONDS: Final = 1_000_000_000
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})(Z|[+-]\d\d:\d\d) ")
_STAMP_BYTES: Final = 36
"""The longest timestamp, with an offset and the space after it."""

_MARGIN: Final = timedelta(seconds=1)
"""Requested before the position itself: lines after it may have slightly earlier timestamps."""

_SILENT_START: Final = timedelta(seconds=60)
"""If the first line is later than this after the container's start, earlier lines are missing."""

_ERROR_BYTES: Final = 200

_Line = Literal["known", "taken", "foreign"]


@dataclass(frozen=True, order=True)
class Position:
    """How far a log has been read: the latest timestamp, and the bytes of text since the first line with it."""

    nanoseconds: int
    """Since 1970 in UTC."""
    offset: int

    @property
    def since(self) -> datetime | None:
        """The time from which the kubelet must serve the log to continue here; None for the whole log."""
        if not self.nanoseconds:
            return None
        return datetime.fromtimestamp(self.nanoseconds // _NANOSECONDS, UTC) - _MARGIN


START: Final = Position(0, 0)


class LogCursor:
    """Removes the timestamps of a log's lines, and continues exactly at its position on a new connection."""

    def __init__(self, position: Position = START, *, started_at: datetime | None = None) -> None:
        """Continue at `position`. The start of the container shows whether its first lines are missing."""
        self._started_at = started_at
        self._latest, self._offset = position.nanoseconds, position.offset
        self._target = position
        self._is_searching = True
        self._second: tuple[bytes, int] = (b"", 0)
        self.begin()

    def begin(self) -> None:
        """Expect the response to a request for the log since `position.since`."""
        self._target = self.position
        self._latest, self._offset = self._target.nanoseconds, self._target.offset
        self._is_searching = True
        self._skip = 0
        self._head = b""
        self._in_line = False
        self._line: _Line = "known"
        self._error = b""

    @property
    def position(self) -> Position:
        """The position after all text that was returned."""
        is_behind = self._is_searching or self._skip > 0
        return self._target if is_behind else Position(self._latest, self._offset)

    @property
    def error(self) -> str:
        """The error message that the kubelet sent last instead of log lines; empty if the last line is of the log.

        The kubelet sends errors in the body of a response that started as a success.
        """
        return (self._error + self._head).decode(errors="replace").strip()

    def feed(self, chunk: bytes) -> bytes:
        """Return the text in the next bytes that was not returned before.

        If lines are missing between the position and the served lines, the text starts with a note about it.
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
                self._error = (self._error + text)[:_ERROR_BYTES]
        return b"".join(taken)

    def _begin_line(self, stamp: re.Match[bytes] | None, start: int, taken: list[bytes]) -> int:
        """Classify a line; return where its text begins."""
        moment = self._moment(stamp) if stamp else None
        self._error = b""
        if stamp is None or moment is None:
            # The rest of a line whose first part was too old, or an error message of the kubelet.
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
        if self._started_at is None:
            return False
        return moment > int((self._started_at + _SILENT_START).timestamp()) * _NANOSECONDS

    def _moment(self, stamp: re.Match[bytes]) -> int | None:
        second, fraction, zone = stamp.groups()
        key = second + zone
        if key != self._second[0]:  # most neighbouring lines have the same second
            try:
                self._second = key, int(datetime.fromisoformat(key.decode()).timestamp())
            except ValueError:
                return None
        return self._second[1] * _NANOSECONDS + int(fraction)


def _gap(last: int, first: int) -> bytes:
    since = f"after {_time(last)}" if last else "from the start"
    until = f"before {_time(first)}"
    return f"\n[… lines may be missing here, {since} and {until}: deleted before they were read …]\n".encode()


def _time(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds // _NANOSECONDS, UTC):%Y-%m-%dT%H:%M:%SZ}"
