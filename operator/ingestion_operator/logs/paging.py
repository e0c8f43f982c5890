"""Pages of the logs of runs: from the archive, and from the pods for the part that is not archived yet."""

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

_ATTEMPTS: Final = 3
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

        The log of a run that has not started is one line with what it waits for.

        Raises:
            NotFound: The attempt does not exist, or neither a pod nor the archive has its log.
            LogRangeError: The page does not exist.
            StoreError: The archive cannot be read.
        """
        index = _index(after)
        started = [each for each in run.attempts if each.start_time is not None]
        if not started:
            if run.state == "queued":
                return _log_page(pipeline, page_of([_notice(run)], index), index)
            return self.archived_page(pipeline, run.id, after, attempt)
        chosen = _choose(started, attempt, run.id)
        pod_exists = chosen.pod in {pod.name for pod in pods}
        try:
            page = self._read(
                AttemptKey(self._key(pipeline, run.id), chosen.pod), index, chosen.start_time, pod_exists=pod_exists
            )
        except Invalid:
            # The container has just been replaced or is about to start.
            page = page_of([_notice(run)], index)
        return _log_page(pipeline, page, index)

    def archived_page(self, pipeline: Pipeline, run_id: str, after: int | None, attempt: int | None) -> LogPage:
        """Return a page as `page` does, of a run that is known only by its archived log, if at all."""
        index = _index(after)
        run = self._key(pipeline, run_id)
        attempts = self._archive.attempts(run) if self._archive is not None else []
        if not attempts:
            raise NotFound(f"pipeline {pipeline.name!r} has no run {run_id} with a log{self._reason()}", code=404)
        return _log_page(pipeline, self._read(_choose(attempts, attempt, run_id), index, None, pod_exists=False), index)

    def _read(self, key: AttemptKey, index: int, started_at: datetime | None, *, pod_exists: bool) -> Page:
        if self._archive is None:
            if not pod_exists:
                raise self._not_found(key)
            return page_of(self._logs.read(self._namespace, key.pod), index)
        attempts_left = _ATTEMPTS
        while True:
            log = self._archive.find(key)
            if not (log.segments or pod_exists):
                raise self._not_found(key)
            try:
                return self._archive.page(key, log, index, self._rest(key, log, started_at, pod_exists=pod_exists))
            except NotFound:
                attempts_left -= 1
                if not attempts_left:
                    raise

    def _not_found(self, key: AttemptKey) -> NotFound:
        return NotFound(f"pod {key.pod} of run {key.run.run_id} is gone{self._reason()}", code=404)

    def _rest(self, key: AttemptKey, log: StoredLog, started_at: datetime | None, *, pod_exists: bool) -> Iterator[str]:
        """Yield from the pod the part that is not archived."""
        if log.is_complete:
            return
        if pod_exists:
            cursor = LogCursor(log.position, started_at=started_at)
            pieces = self._logs.read(self._namespace, key.pod, since=log.position.since, timestamps=True)
            try:
                yield from decode(cursor.feed(piece) for piece in pieces)
            except NotFound:
                pod_exists = False  # deleted since it was listed
        if not pod_exists:
            yield _END_MISSING

    def _key(self, pipeline: Pipeline, run_id: str) -> RunKey:
        return RunKey(self._namespace, pipeline.cronjob_name, run_id)

    def _reason(self) -> str:
        if self._archive is None:
            return ": logs end with their pods, since the settings have no logArchive"
        return ", and the log archive has no log of it"


def _index(after: int | None) -> int:
    index = after or 0
    if index < 0:
        raise LogRangeError(f"page {index} does not exist: pages count from 0")
    return index


def _choose(attempts: Sequence[_T], number: int | None, run_id: str) -> _T:
    count = len(attempts)
    wanted = count if number is None else number
    if not 1 <= wanted <= count:
        raise NotFound(f"run {run_id} has no attempt {wanted}: it has 1 to {count}", code=404)
    return attempts[wanted - 1]


def _log_page(pipeline: Pipeline, page: Page, index: int) -> LogPage:
    return LogPage(
        text=page.text,
        total=page.total,
        after=index + 1 if index + 1 < page.total else None,
        pipeline_type=pipeline.spec.pipeline_type,
    )


def _notice(run: Run) -> bytes:
    return f"[Run {run.id} has not started: {run.message}]\n".encode()
