"""The end of an attempt's log, from the pod or the archive."""

from collections.abc import Iterable
from typing import Final

from ingestion_operator.errors import Invalid, NotFound
from ingestion_operator.logs.layout import AttemptKey
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.ports import LogStore, PodLogs

TAIL_BYTES: Final = 64 * 1024


class LogTail:
    """Reads from the pod while it exists, otherwise from the archive if there is one."""

    def __init__(self, logs: PodLogs, store: LogStore | None) -> None:
        self._logs = logs
        self._archive = ArchiveReader(store) if store is not None else None

    def read(self, attempt: AttemptKey, lines: int) -> str:
        """Return the last lines, at most 64 KiB of them; "" if there are none.

        Raises:
            StoreError: The archive cannot be read.
            ClusterError: The API server cannot be reached.
        """
        try:
            text = _end_of(self._logs.tail(attempt.run.namespace, attempt.pod, lines))
        except (NotFound, Invalid):
            text = self._archive.tail(attempt, TAIL_BYTES) if self._archive is not None else ""
        return "".join(text.splitlines(keepends=True)[-lines:])


def _end_of(pieces: Iterable[bytes]) -> str:
    """Return the last bytes as text, without a character that is cut at their beginning."""
    end = b""
    for piece in pieces:
        end = (end + piece)[-TAIL_BYTES:]
    while end and end[0] & 0xC0 == 0x80:  # noqa: PLR2004  the bits of a continuation byte
        end = end[1:]
    return end.decode(errors="replace")
