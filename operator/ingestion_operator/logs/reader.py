"""Reading the log archive: pages and ends of logs, in constant memory."""

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from ingestion_operator.constants import LOG_PAGE_CHARACTERS
from ingestion_operator.errors import NotFound, StoreError
from ingestion_operator.logs.layout import AttemptKey, RunKey, Segment, StoredLog, stored_log
from ingestion_operator.logs.pages import Page, PageWindow
from ingestion_operator.ports import LogStore

_ATTEMPTS: Final = 3
"""Between the listing and the reading the last segment may be replaced by a longer one."""


class ArchiveReader:
    """Reads logs from a store. Every method raises StoreError if the store fails."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def find(self, attempt: AttemptKey) -> StoredLog:
        """Return the archived part of an attempt's log, with one listing; empty if nothing is archived."""
        return stored_log(stored.key.rpartition("/")[2] for stored in self._store.list(attempt.folder))

    def attempts(self, run: RunKey) -> list[AttemptKey]:
        """Return the attempts of a run that have a log, in the order in which they ended."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for stored in self._store.list(run.folder):
            pod, _, name = stored.key.removeprefix(f"{run.folder}/").partition("/")
            names[pod].append(name)
        logs = {pod: stored_log(found) for pod, found in names.items()}
        ordered = sorted((log.position, pod) for pod, log in logs.items() if log.segments)
        return [AttemptKey(run, pod) for _, pod in ordered]

    def page(
        self,
        attempt: AttemptKey,
        log: StoredLog,
        index: int,
        rest: Iterable[str] = (),
        *,
        size: int = LOG_PAGE_CHARACTERS,
    ) -> Page:
        """Return page `index` (from 0) of a log that `find` returned, followed by its unarchived `rest`.

        Reads only the segments that the page overlaps, and the whole rest.

        Raises:
            LogRangeError: The page does not exist.
            NotFound: A segment was replaced meanwhile; call `find` again.
        """
        window = PageWindow(index, size)
        for segment in log.segments:
            if window.wants(segment.characters):
                window.take(self._text(attempt, segment))
            else:
                window.skip(segment.characters)
        for text in rest:
            window.take(text)
        return window.page()

    def tail(self, attempt: AttemptKey, characters: int) -> str:
        """Return the last characters of the archived part of a log, "" if there is none."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._tail(attempt, characters)
            except NotFound:
                continue
        return self._tail(attempt, characters)

    def _tail(self, attempt: AttemptKey, characters: int) -> str:
        texts: list[str] = []
        missing = characters
        for segment in reversed(self.find(attempt).segments):
            if missing <= 0:
                break
            if segment.characters:
                texts.append(self._text(attempt, segment)[-missing:])
                missing -= segment.characters
        return "".join(reversed(texts))

    def _text(self, attempt: AttemptKey, segment: Segment) -> str:
        key = f"{attempt.folder}/{segment.name}"
        try:
            text = gzip.decompress(self._store.get(key)).decode()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise StoreError(f"segment {key} is damaged: {error}") from error
        if len(text) != segment.characters:
            raise StoreError(f"segment {key} is damaged: it holds {len(text)} characters")
        return text
