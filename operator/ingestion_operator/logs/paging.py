"""Logs of runs: from the archive, and from the pods what is not archived yet."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, TypeVar

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.service import LogPage
from ingestion_operator.api.status import Run
from ingestion_operator.errors import Invalid, LogRangeError, NotFound
from ingestion_operator.logs.cursor import LogCursor
from ingestion_operator.logs.layout import AttemptKey, RunKey, StoredLog
from ingestion_operator.logs.pages import Page, decode, page_of
from ingestion_operator.logs.reader import ArchiveReader
from ingestion_operator.ports import LogStore, PodLogs
from ingestion_operator.runs.pods import Pod

_T = TypeVar("_T")

_TRIES: Final = 3
"""Between finding a log and reading it, its last segment may be replaced by a longer one."""

_END_MISSING: Final = "\n[… the end of this log may be missing: its pod is gone …]\n"


class LogReader:
    """Reads pages of the attempts of runs. Without an archive a log ends with its pod."""

    def __init__(self, namespace: str, logs: PodLogs, store: LogStore | None) -> None:
        self._namespace = namespace
        self._logs = logs
        self._archive = ArchiveReader(store) if store is not None else None

    def page(
        self, pipeline: Pipeline, run: Run, pods: Sequence[Pod], after: int | None, attempt: int | None
    ) -> LogPage:
        """Return page `after` (None: the first) of the log of the run's attempt, counted from 1 (None: the last).

        A run that has not started yet has a log of one line that says what it waits for. Raises NotFound when
        there is no such attempt, or neither a pod nor the archive has its log; LogRangeError for a page that is not
        there; StoreError when the archive cannot be read.
        """
        index = _index(after)
        started = [each for each in run.attempts if each.start_time is not None]
        if not started:
            if run.state == "queued":
                return _answer(pipeline, page_of([_notice(run)], index), index)
            return self.archived_page(pipeline, run.id, after, attempt)
        chosen = _choose(started, attempt, run.id)
        is_there = chosen.pod in {pod.name for pod in pods}
        try:
            page = self._read(
                AttemptKey(self._key(pipeline, run.id), chosen.pod), index, chosen.start_time, is_there=is_there
            )
        except Invalid:
            # The container has just been replaced or is about to start.
            page = page_of([_notice(run)], index)
        return _answer(pipeline, page, index)

    def archived_page(self, pipeline: Pipeline, run_id: str, after: int | None, attempt: int | None) -> LogPage:
        """Return a page as `page` does, of a run of which nothing is known but perhaps its log."""
        index = _index(after)
        run = self._key(pipeline, run_id)
        attempts = self._archive.attempts(run) if self._archive is not None else []
        if not attempts:
            raise NotFound(f"pipeline {pipeline.name!r} has no run {run_id} with a log{self._why_not()}", code=404)
        return _answer(pipeline, self._read(_choose(attempts, attempt, run_id), index, None, is_there=False), index)

    def _read(self, key: AttemptKey, index: int, begun: datetime | None, *, is_there: bool) -> Page:
        if self._archive is None:
            if not is_there:
                raise self._gone(key)
            return page_of(self._logs.read(self._namespace, key.pod), index)
        tries_left = _TRIES
        while True:
            log = self._archive.find(key)
            if not (log.segments or is_there):
                raise self._gone(key)
            try:
                return self._archive.page(key, log, index, self._rest(key, log, begun, is_there=is_there))
            except NotFound:
                tries_left -= 1
                if not tries_left:
                    raise

    def _gone(self, key: AttemptKey) -> NotFound:
        return NotFound(f"pod {key.pod} of run {key.run.run_id} is gone{self._why_not()}", code=404)

    def _rest(self, key: AttemptKey, log: StoredLog, begun: datetime | None, *, is_there: bool) -> Iterator[str]:
        """Yield what the archive has not, from the pod."""
        if log.is_complete:
            return
        if is_there:
            cursor = LogCursor(log.position, begun=begun)
            pieces = self._logs.read(self._namespace, key.pod, since=log.position.since, timestamps=True)
            try:
                yield from decode(cursor.feed(piece) for piece in pieces)
            except NotFound:
                is_there = False  # since it was listed
        if not is_there:
            yield _END_MISSING

    def _key(self, pipeline: Pipeline, run_id: str) -> RunKey:
        return RunKey(self._namespace, pipeline.cronjob_name, run_id)

    def _why_not(self) -> str:
        if self._archive is None:
            return ": logs end with their pods, since the settings have no logArchive"
        return ", and the log archive has nothing of it"


def _index(after: int | None) -> int:
    index = after or 0
    if index < 0:
        raise LogRangeError(f"page {index} is not there: pages count from 0")
    return index


def _choose(attempts: Sequence[_T], number: int | None, run_id: str) -> _T:
    count = len(attempts)
    wanted = count if number is None else number
    if not 1 <= wanted <= count:
        raise NotFound(f"run {run_id} has no attempt {wanted}: it has 1 to {count}", code=404)
    return attempts[wanted - 1]


def _answer(pipeline: Pipeline, page: Page, index: int) -> LogPage:
    return LogPage(
        text=page.text,
        total=page.total,
        after=index + 1 if index + 1 < page.total else None,
        pipeline_type=pipeline.spec.pipeline_type,
    )


def _notice(run: Run) -> bytes:
    return f"[Run {run.id} has not started: {run.message}]\n".encode()
