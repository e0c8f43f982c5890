"""A log as pages of a fixed number of characters; pure functions, in constant memory."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingestion_operator.constants import LOG_PAGE_CHARACTERS
from ingestion_operator.errors import LogRangeError


@dataclass(frozen=True)
class Page:
    """One page of a log, and the number of pages."""

    text: str
    total: int


class PageWindow:
    """Takes a log from its first to its last character, and keeps one page of it."""

    def __init__(self, index: int, size: int = LOG_PAGE_CHARACTERS) -> None:
        """Keep page `index`, counted from 0, of `size` characters."""
        self._index = index
        self._size = size
        self._kept: list[str] = []
        self._seen = 0

    def wants(self, characters: int) -> bool:
        """Return whether the page contains any of the next `characters`; otherwise they may be skipped."""
        first = self._index * self._size
        return self._seen < first + self._size and self._seen + characters > first

    def take(self, text: str) -> None:
        """Take the next text."""
        if text and self.wants(len(text)):
            first = self._index * self._size - self._seen
            self._kept.append(text[max(0, first) : first + self._size])
        self._seen += len(text)

    def skip(self, characters: int) -> None:
        """Skip text of which `wants` is False."""
        self._seen += characters

    def page(self) -> Page:
        """Return the page, after the whole log. Raises LogRangeError if the page does not exist."""
        total = max(1, -(-self._seen // self._size))
        if not 0 <= self._index < total:
            raise LogRangeError(f"page {self._index} does not exist: the log has pages 0 to {total - 1}")
        return Page("".join(self._kept), total)


def page_of(pieces: Iterable[bytes], index: int, *, size: int = LOG_PAGE_CHARACTERS) -> Page:
    """Return page `index` (from 0) of a log in UTF-8 that arrives in pieces of any size.

    Invalid UTF-8 becomes replacement characters. An empty log has one empty page. Never holds more than one page and
    one piece in memory.

    Raises:
        LogRangeError: The page does not exist.
    """
    window = PageWindow(index, size)
    for text in decode(pieces):
        window.take(text)
    return window.page()


def decode(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the text of UTF-8 in pieces that may be cut anywhere; invalid bytes become replacement characters."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
