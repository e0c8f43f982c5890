"""Letting waiting runs start and old ones go, one pipeline at a time.

The operator alone admits, and looks at a pipeline with one worker at a time: so the count of active runs is right
when it decides. Every write carries the resourceVersion that the decision was made from.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingestion_operator import constants
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import Run
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.ports import JOBS, ClusterApi
from ingestion_operator.runs.admission import Job, Limits, decide
from ingestion_operator.runs.retention import outlived


class Admission:
    """Writes what `decide` and `outlived` decide."""

    def __init__(self, cluster: ClusterApi) -> None:
        self._cluster = cluster

    def settle(
        self, pipeline: Pipeline, jobs: Sequence[Job], recorded: Sequence[Run], now: datetime, *, leftovers: int = 0
    ) -> datetime | None:
        """Admit what may start; return when to call again though nothing happens, None for never.

        `leftovers` are the runs that still work though their Job is gone.

        `recorded` must be in the pipeline's status already: a run that was stopped while it waited loses its Job
        here, and with it all trace but the record.

        Raises Conflict when a Job has changed meanwhile: look again.
        """
        limits = Limits(pipeline.spec.concurrency.max_active_runs)
        decisions = decide(jobs, recorded, limits, now, leftovers=leftovers)
        for job in decisions.remove:
            self._delete(pipeline, job)
        for job in decisions.give_up:
            self._annotate(pipeline, job, {constants.ANNOTATION_STOP: format_timestamp(now)}, {})
        for job in decisions.put_back:
            waits_since = {constants.ANNOTATION_REQUESTED_AT: job["metadata"]["creationTimestamp"]}
            self._annotate(pipeline, job, waits_since, {"suspend": True})
        for job in decisions.admit:
            self._annotate(pipeline, job, {constants.ANNOTATION_ADMITTED_AT: format_timestamp(now)}, {"suspend": False})
        return decisions.again_at

    def prune(self, pipeline: Pipeline, jobs: Sequence[Job], recorded: Sequence[Run]) -> None:
        """Delete the Jobs of runs that spec.history keeps no longer; `recorded` as for `settle`."""
        for job in outlived(jobs, recorded, pipeline.spec.history):
            self._delete(pipeline, job)

    def _delete(self, pipeline: Pipeline, job: Job) -> None:
        metadata = job["metadata"]
        self._cluster.delete(
            JOBS,
            pipeline.namespace,
            metadata["name"],
            propagation="Background",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )

    def _annotate(self, pipeline: Pipeline, job: Job, annotations: dict[str, str], spec: dict[str, Any]) -> None:
        metadata = job["metadata"]
        patch: dict[str, Any] = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": annotations}
        }
        if spec:
            patch["spec"] = spec
        self._cluster.merge_patch(JOBS, pipeline.namespace, metadata["name"], patch)
