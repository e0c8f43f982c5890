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
"""Of text, uncompressed. A page of a log is about eight segments; at most this much is held in memory."""


class SegmentWriter:
    """Writes the text of a log as the kubelet serves it.

    Holds at most SEGMENT_BYTES and one chunk of unwritten text, and the current segment in compressed form. Each
    `flush` replaces the current segment by a longer one until it is full, so that a log that grows slowly for days
    does not become thousands of objects. Text that is lost between two calls is read again from `cursor.position` on.
    """

    def __init__(
        self, store: LogStore, attempt: AttemptKey, log: StoredLog, *, started_at: datetime | None = None
    ) -> None:
        """Continue after `log`; `started_at` is the start of the container."""
        self.cursor = LogCursor(log.position, started_at=started_at)
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
        """Whether there is unwritten text."""
        return bool(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether `flush` must be called before more text is fed."""
        return self._size + len(self._pending) >= SEGMENT_BYTES

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the response to a request for the log since `cursor.position.since`."""
        self._pending += self.cursor.feed(chunk)

    def add_note(self, note: str) -> None:
        """Add a line of this program to the text."""
        self._pending += f"\n[… {note} …]\n".encode()

    def flush(self, *, end: bool = False) -> None:
        """Write the unwritten text, except the bytes of an incomplete character; `end` completes the log.

        Raises:
            StoreError: The store failed. No text is lost, and the same call writes the same text again.
        """
        with self._lock:  # a cancelled flush may still run in its thread
            decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
            text = decoder.decode(bytes(self._pending), final=end)
            if text or end:
                self._write(text, rest=decoder.getstate()[0], end=end)

    def _write(self, text: str, *, rest: bytes, end: bool) -> None:
        position = self.cursor.position
        segment = Segment(
            number=self._number,
            characters=len(text) + (self._written.characters if self._written else 0),
            position=Position(position.nanoseconds, position.offset - len(rest)),
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
            with contextlib.suppress(StoreError):  # readers use the longer of the two
                self._store.delete([f"{self._folder}/{superseded.name}"])
