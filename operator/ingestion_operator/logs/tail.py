"""The end of an attempt's log, wherever it is: what a report about a run shows."""

from collections.abc import Iterable
from typing import Final

from ingestion_operator.errors import Invalid, NotFound
from ingestion_operator.logs.layout import AttemptKey
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.ports import LogStore, PodLogs

TAIL_BYTES: Final = 64 * 1024


class LogTail:
    """Reads from the pod while it is there, else from the archive, if there is one."""

    def __init__(self, logs: PodLogs, store: LogStore | None) -> None:
        self._logs = logs
        self._archive = ArchiveReader(store) if store is not None else None

    def read(self, attempt: AttemptKey, lines: int) -> str:
        """Return the last lines, at most 64 KiB of them; "" where nobody has any.

        Raises StoreError and, when the API server cannot be asked, ClusterError.
        """
        try:
            text = _end_of(self._logs.tail(attempt.run.namespace, attempt.pod, lines))
        except (NotFound, Invalid):
            text = self._archive.tail(attempt, TAIL_BYTES) if self._archive is not None else ""
        return "".join(text.splitlines(keepends=True)[-lines:])


def _end_of(pieces: Iterable[bytes]) -> str:
    """Return the last bytes as text; a character that was cut at their beginning is left out."""
    end = b""
    for piece in pieces:
        end = (end + piece)[-TAIL_BYTES:]
    while end and end[0] & 0xC0 == 0x80:  # noqa: PLR2004  the bits of a byte that continues a character
        end = end[1:]
    return end.decode(errors="replace")
