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

_TRIES: Final = 3
"""Between the listing and the reading the last segment may be replaced by a longer one."""


class ArchiveReader:
    """Reads logs from a store. Every method raises StoreError when the store does not do its part."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def find(self, attempt: AttemptKey) -> StoredLog:
        """Return what there is of an attempt's log, by one listing; an empty one if there is nothing."""
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
        """Return page `index` (from 0) of a log that `find` has found, and of its `rest` that is not archived yet.

        Reads the segments that the page touches and no others, and all of the rest. Raises LogRangeError for a
        page that is not there, NotFound when a segment has been replaced meanwhile: find the log anew.
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
        """Return the last characters of what there is of a log, "" for nothing; reads one segment more than that."""
        for _ in range(_TRIES - 1):
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
