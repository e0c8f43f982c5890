"""Runs whose pods do not start, or are not heard of: the cause found out, and the run ended after a bound."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ingestion_operator.errors import Forbidden
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import Run
from ingestion_operator.ports import EVENTS, JOBS, ClusterApi
from ingestion_operator.runs.causes import Cause, cause_in_events
from ingestion_operator.runs.pending import Job, Pod, Waiting, explained, give_up_patch, lost, lost_patch, waiting
from ingestion_operator.schedule import duration_seconds
from ingestion_operator.settings import Settings


class PendingRuns:
    """Reads Events, and ends Jobs."""

    def __init__(self, cluster: ClusterApi, settings: Callable[[], Settings]) -> None:
        self._cluster = cluster
        self._settings = settings

    def find(self, runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod]) -> list[Waiting]:
        """Return what waits for a pod to start, with the bound of the settings."""
        limit = timedelta(seconds=duration_seconds(self._settings().pending_limit))
        return waiting(runs, jobs, pods, limit)

    def explain(self, pipeline: Pipeline, runs: Sequence[Run], waits: Sequence[Waiting], now: datetime) -> list[Run]:
        """Return the runs with the causes that Events alone tell: one list for each run that waits without one."""
        unexplained = {wait.run_id: wait for wait in waits if wait.events_of and wait.look_at <= now}
        result = []
        for run in runs:
            wait = unexplained.get(run.id)
            cause = self._cause(pipeline, wait) if wait else None
            result.append(explained(run, wait, cause) if wait and cause else run)
        return result

    def give_up(
        self, pipeline: Pipeline, waits: Sequence[Waiting], recorded: Sequence[Run], now: datetime
    ) -> datetime | None:
        """End the Jobs that have waited too long; return when to call again though nothing happens.

        `recorded` has the causes. Raises Conflict when a Job has changed meanwhile: look again, its pod may run.
        """
        runs = {run.id: run for run in recorded}
        moments = []
        for wait in waits:
            if wait.deadline <= now:
                patch = give_up_patch(wait.job, runs[wait.run_id], self._settings().pending_limit)
                self._cluster.merge_patch(JOBS, pipeline.namespace, wait.job["metadata"]["name"], patch)
            else:
                is_early = wait.events_of and now < wait.look_at
                moments.append(min(wait.look_at, wait.deadline) if is_early else wait.deadline)
        return min(moments, default=None)

    def give_up_lost(
        self, pipeline: Pipeline, runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], now: datetime
    ) -> datetime | None:
        """End the Jobs whose node has not been heard of for too long; return when to call again.

        Raises Conflict when a Job has changed meanwhile.
        """
        limit = self._settings().node_lost_limit
        moments = []
        for run, job, deadline in lost(runs, jobs, pods, timedelta(seconds=duration_seconds(limit))):
            if deadline <= now:
                patch = lost_patch(job, run, limit)
                self._cluster.merge_patch(JOBS, pipeline.namespace, job["metadata"]["name"], patch)
            else:
                moments.append(deadline)
        return min(moments, default=None)

    def _cause(self, pipeline: Pipeline, wait: Waiting) -> Cause | None:
        try:
            fields = {"involvedObject.uid": wait.events_of}
            return cause_in_events(self._cluster.list(EVENTS, pipeline.namespace, {}, fields=fields))
        except Forbidden:
            return None  # an older Role: the run is bounded all the same
