"""Input and intermediate results of a reconciliation."""

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
    """A pipeline with its children, by controller UID."""

    pipeline: Pipeline
    cronjob: CronJob | None
    """The CronJob with the pipeline's name, with any controller."""
    jobs: Sequence[Job]
    pods: Sequence[Pod]
    remembered: Sequence[Run] = ()
    """Runs that do not fit into the status: unfinished, unreported, or with a Job."""
    deleted_pods: Sequence[Pod] = ()
    """Pods deleted since the last reconciliation, in their last state, which may be the only one with their end."""
    blocker: Rejected | None = None
    """Why the CronJob could not be read: one that belongs to another controller must not be written."""
    gone_jobs: frozenset[str] = frozenset()
    """Jobs of unfinished runs whose absence a live GET has confirmed."""
    requeue_at: datetime | None = None
    """When to check again whether an absent Job was replaced."""
    version: VersionFinding | None = None
    """Whether the versions of the server and the runner's image match; None if unknown."""

    @property
    def known_runs(self) -> Sequence[Run]:
        """The runs of earlier reconciliations."""
        return [*self.pipeline.status.runs, *self.remembered]

    @property
    def seen_pods(self) -> Sequence[Pod]:
        """The existing and the recently deleted pods."""
        return [*self.deleted_pods, *self.pods]


@dataclass(frozen=True, slots=True)
class ActionFailure:
    """A failed action."""

    action: str
    """Object and action, such as `Job shop/nightly-1: admit`."""
    error: str


@dataclass(frozen=True, slots=True)
class CronJobResult:
    """The CronJob after its reconciliation, and what prevents the desired state."""

    cronjob: CronJob | None = None
    """The pipeline's own CronJob; None if there is none."""
    blocker: Rejected | None = None
    overridden: str | None = None
    """Message about fields that admission changed; empty for no change, None if nothing was applied."""
    contested: str = ""
    """The field manager that keeps changing the CronJob; empty if none does."""
    failure: ActionFailure | None = None
    """A temporary failure, which is retried."""
    requeue_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An Event to post."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def permission_missing(error: Forbidden) -> Rejected:
    """Return the blocker of a pipeline for which the operator lacks a permission."""
    return Rejected("Forbidden", f"The operator lacks a permission: {error}", is_external=True)
