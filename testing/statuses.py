"""Statuses of a pipeline, computed from records."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import Condition, PipelineStatus, Run
from ingestion_operator.errors import Rejected
from ingestion_operator.reconcile.observed import CronJobResult, Observed
from ingestion_operator.reconcile.status import pipeline_status
from ingestion_operator.render.cronjob import cronjob
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import CronJob, read_cronjob
from testing.objects import NOW, Body, at, job, job_records, pod_records, settings

REFUSED = Rejected("UnknownTimeZone", "spec.schedule.timeZone 'Mars' is not in the IANA database")


def observed(pipeline: Pipeline) -> Observed:
    """A pipeline without Jobs and pods."""
    return Observed(pipeline, None, jobs=(), pods=())


def record(body: Body, status: Body | None = None) -> CronJob:
    """A rendered CronJob as the cache has it."""
    stored = deepcopy(body)
    stored["metadata"] |= {"uid": "cronjob", "resourceVersion": "1", "generation": 1, "creationTimestamp": at()}
    return read_cronjob(stored | {"status": status or {}})


def in_place(pipeline: Pipeline, status: Body | None = None) -> CronJobResult:
    """The CronJob of the pipeline's spec."""
    return CronJobResult(record(cronjob(pipeline, settings(), NOW), status))


def status_of(
    pipeline: Pipeline, runs: Sequence[Run] = (), children: CronJobResult | None = None, now: datetime = NOW
) -> PipelineStatus:
    """The status of a pipeline; without `children` its CronJob is in place."""
    return pipeline_status(observed(pipeline), in_place(pipeline) if children is None else children, runs, now)


def history(jobs: Sequence[Body], pods: Sequence[Body] = (), known: Sequence[Run] = ()) -> list[Run]:
    """The runs that Jobs and pods are."""
    return runs_of(job_records(jobs), pod_records(pods), known, NOW, gone=())


def finished(state: str = "Complete", number: int = 1) -> list[Run]:
    """The history of one finished run."""
    return history([job(f"j{number}", created=number, condition=state)])


def condition_of(status: PipelineStatus, kind: str) -> Condition:
    """The condition of a type, which must be there."""
    return next(found for found in status.conditions if found.type == kind)


def written(status: PipelineStatus) -> Body:
    """A status as the API server stores it."""
    return status.model_dump(by_alias=True, exclude_none=True, mode="json")
