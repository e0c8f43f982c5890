"""Writing the log of one attempt, segment by segment."""

import codecs
import contextlib
import gzip
import threading
from datetime import datetime
from typing import Final

from ingestion_operator.errors import StoreError
from ingestion_operator.logs.cursor import LogCursor, Position
from ingestion_operator.logs.layout import AttemptKey, Segment, StoredLog
from ingestion_operator.ports import LogStore

SEGMENT_BYTES: Final = 256 * 1024
"""Of text, uncompressed. A page of a log is eight segments or so, and this much is held in memory at most."""


class SegmentWriter:
    """Takes what the kubelet serves and writes the text of it.

    Holds at most SEGMENT_BYTES and one chunk of text that is not written yet, and the segment under way compressed:
    each `flush` replaces it by a longer one until it is full, so that a log that grows slowly for days does not end
    in thousands of objects. Whatever is lost between two calls is read again from `cursor.position` on.
    """

    def __init__(self, store: LogStore, attempt: AttemptKey, log: StoredLog, *, begun: datetime | None = None) -> None:
        """Go on after `log`; `begun` is when the container started."""
        self.cursor = LogCursor(log.position, begun=begun)
        self._store = store
        self._folder = attempt.folder
        self._number = log.segments[-1].number + 1 if log.segments else 0
        self._pending = bytearray()
        self._written: Segment | None = None
        self._members = b""
        self._size = 0
        self._lock = threading.Lock()

    @property
    def has_pending(self) -> bool:
        """Whether there is text that is not written yet."""
        return bool(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush before more is fed."""
        return self._size + len(self._pending) >= SEGMENT_BYTES

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the answer to a request for the log since `cursor.position.since`."""
        self._pending += self.cursor.feed(chunk)

    def say(self, note: str) -> None:
        """Put a line of this program's own into the text."""
        self._pending += f"\n[… {note} …]\n".encode()

    def flush(self, *, end: bool = False) -> None:
        """Write what is pending, but for the bytes of a character that is not whole yet; `end`: nothing follows.

        Raises StoreError; nothing is lost then, and the same call again writes the same.
        """
        with self._lock:  # a flush that was given up may still be under way in its thread
            decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
            text = decoder.decode(bytes(self._pending), final=end)
            if text or end:
                self._write(text, rest=decoder.getstate()[0], end=end)

    def _write(self, text: str, *, rest: bytes, end: bool) -> None:
        place = self.cursor.position
        segment = Segment(
            number=self._number,
            characters=len(text) + (self._written.characters if self._written else 0),
            position=Position(place.nanoseconds, place.offset - len(rest)),
            is_end=end,
        )
        members = self._members + gzip.compress(text.encode(), mtime=0)
        self._store.put(f"{self._folder}/{segment.name}", members)
        superseded = self._written
        self._size += len(self._pending) - len(rest)
        self._pending = bytearray(rest)
        if self._size >= SEGMENT_BYTES:
            self._number, self._written, self._members, self._size = self._number + 1, None, b"", 0
        else:
            self._written, self._members = segment, members
        if superseded is not None and superseded.name != segment.name:
            with contextlib.suppress(StoreError):  # readers know which of the two counts
                self._store.delete([f"{self._folder}/{superseded.name}"])
