"""A log as pages of a fixed number of characters; pure functions, in constant memory."""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

from ingestion_operator.constants import LOG_PAGE_CHARACTERS
from ingestion_operator.errors import LogRangeError


@dataclass(frozen=True)
class Page:
    """One page of a log and the number of pages there are."""

    text: str
    total: int


def page_of(pieces: Iterable[bytes], index: int, *, size: int = LOG_PAGE_CHARACTERS) -> Page:
    """Return page `index` (from 0) of a log in UTF-8 that arrives in pieces of any size.

    Bytes that are no UTF-8 become replacement characters. An empty log has one empty page. Never holds more than
    one page and one piece. Raises LogRangeError for a page that is not there.
    """
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    first, last = index * size, (index + 1) * size
    kept: list[str] = []
    seen = 0

    def take(text: str) -> None:
        nonlocal seen
        if text and seen < last and seen + len(text) > first:
            kept.append(text[max(0, first - seen) : last - seen])
        seen += len(text)

    for piece in pieces:
        take(decode(piece))
    take(decode(b"", final=True))
    total = max(1, -(-seen // size))
    if not 0 <= index < total:
        raise LogRangeError(f"page {index} is not there: the log has pages 0 to {total - 1}")
    return Page("".join(kept), total)
