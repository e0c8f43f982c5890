"""Logs of runs, from the pods that still exist."""

from typing import Any

from ingestion_operator.archive.pages import Page, page_of
from ingestion_operator.errors import Invalid, LogRangeError, NotFound
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.service import LogPage
from ingestion_operator.models.status import Run
from ingestion_operator.ports import PodLogs


class LogReader:
    """Reads pages of the last attempt of a run."""

    def __init__(self, namespace: str, logs: PodLogs) -> None:
        self._namespace = namespace
        self._logs = logs

    def page(self, pipeline: Pipeline, run: Run, pods: list[dict[str, Any]], after: int | None) -> LogPage:
        """Return page `after` (None: the first) of the run's log.

        A run that has not started yet has a log of one line that says what it waits for. Raises NotFound when the
        pod is gone, LogRangeError for a page that is not there.
        """
        index = after or 0
        if index < 0:
            raise LogRangeError(f"page {index} is not there: pages count from 0")
        page = self._read(run, {pod["metadata"]["name"] for pod in pods}, index)
        return LogPage(
            text=page.text,
            total=page.total,
            after=index + 1 if index + 1 < page.total else None,
            pipeline_type=pipeline.spec.pipeline_type,
        )

    def _read(self, run: Run, pods: set[str], index: int) -> Page:
        started = [attempt for attempt in run.attempts if attempt.start_time is not None]
        if run.state == "queued" and not started:
            return page_of([_notice(run)], index)
        if not started or started[-1].pod not in pods:
            raise NotFound(f"the pod of run {run.id} is gone, and its log with it", code=404)
        try:
            return page_of(self._logs.read(self._namespace, started[-1].pod), index)
        except Invalid:
            # The container has just been replaced or is about to start.
            return page_of([_notice(run)], index)


def _notice(run: Run) -> bytes:
    return f"[Run {run.id} has not started: {run.message}]\n".encode()
