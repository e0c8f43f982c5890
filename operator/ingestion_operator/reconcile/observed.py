"""What one reconciliation knows and what came of its steps; data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import Run
from ingestion_operator.errors import Forbidden, Rejected
from ingestion_operator.runs.jobs import CronJob, Job
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runs.versions import VersionFinding


@dataclass(frozen=True, slots=True)
class Observed:
    """A pipeline with what belongs to it, by controller uid."""

    pipeline: Pipeline
    cronjob: CronJob | None
    """The CronJob of the pipeline's name, whoever controls it."""
    jobs: Sequence[Job]
    pods: Sequence[Pod]
    remembered: Sequence[Run] = ()
    """Runs that the status has no room for: unfinished, unreported, or with a Job."""
    deleted_pods: Sequence[Pod] = ()
    """Pods deleted since the last reconciliation, in their last state: how they ended may be seen there alone."""
    blocker: Rejected | None = None
    """Why it is not known whether there is a CronJob: one that belongs to another controller must not be written."""
    gone_jobs: frozenset[str] = frozenset()
    """Jobs of unfinished runs that the API server itself says are absent."""
    requeue_at: datetime | None = None
    """When it will be known whether a Job that is absent has been replaced."""
    version: VersionFinding | None = None
    """Whether the server and the runner's image fit; None when that is not known."""

    @property
    def known_runs(self) -> Sequence[Run]:
        """The runs that were seen before."""
        return [*self.pipeline.status.runs, *self.remembered]

    @property
    def seen_pods(self) -> Sequence[Pod]:
        """Pods that are there and those that were: what runs are judged by."""
        return [*self.deleted_pods, *self.pods]


@dataclass(frozen=True, slots=True)
class ActionFailure:
    """An action that failed."""

    what: str
    """Object and verb phrase, such as `Job shop/nightly-1: admit it`."""
    error: str


@dataclass(frozen=True, slots=True)
class ChildrenResult:
    """What the CronJob is now, and what keeps it or the pipeline's Secrets from being as desired."""

    cronjob: CronJob | None = None
    """The pipeline's own CronJob; None where there is none."""
    blocker: Rejected | None = None
    overridden: str | None = None
    """What admission made of the operator's own apply; empty for nothing, None where nothing was applied."""
    contested: str = ""
    """Which field manager keeps changing the CronJob; empty where none does."""
    failure: ActionFailure | None = None
    """What could not be done now, though nothing forbids it: to be tried again."""
    requeue_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An Event to post."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def permission_missing(error: Forbidden) -> Rejected:
    """Return what keeps a pipeline from being ready where the operator lacks a right."""
    return Rejected("Forbidden", f"The operator lacks a permission: {error}", is_external=True)
