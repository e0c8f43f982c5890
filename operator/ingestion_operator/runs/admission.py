"""Which runs of a pipeline may start now; pure functions.

Runs that were requested wait as suspended Jobs. Scheduled Jobs start by themselves; one that finds no free slot and
has not begun is suspended and joins the queue. The oldest goes first. With concurrency.policy Replace the newest run
wins: the others are stopped, and it starts once they have ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.api.types import format_timestamp
from ingestion_operator.runs.actions import JobAction, PatchJob
from ingestion_operator.runs.history import is_finished
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import is_between_sizes
from ingestion_operator.runs.stopping import REPLACED_BY, is_ending, stop

HOLD_LIMIT: Final = timedelta(seconds=60)
"""How long a run may lack its Secret before it is abandoned: its client has crashed."""

_Order = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs of the pipeline may be active at once, and whether a new one ends those under way."""

    max_active_runs: int
    replaces: bool = False
    """Whether concurrency.policy is Replace."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """What to do with the Jobs of a pipeline now, in this order."""

    actions: list[JobAction] = field(default_factory=list)
    requeue_at: datetime | None = None
    """When to decide again though nothing happens."""


def decide(jobs: Sequence[Job], runs: Sequence[Run], limits: Limits, now: datetime, *, leftovers: int = 0) -> Decisions:
    """Return what to do; `runs` are all runs of the pipeline.

    `leftovers` are runs without a Job whose container still runs: each has a slot until it has ended.
    """
    by_job = {run.job: run for run in runs}
    ended = {run.job for run in runs if is_finished(run)}
    # One that is suspended to be given more memory is under way and keeps its slot.
    under_way = [job for job in jobs if not job.is_suspended or is_between_sizes(job)]
    suspended = [job for job in jobs if job not in under_way and not job.is_deleting]
    waiting = [job for job in suspended if _is_queued_here(job)]
    held = [job for job in waiting if constants.ANNOTATION_ADMISSION_HOLD in job.annotations]
    queued = [job for job in waiting if job not in held]
    active = [job for job in under_way if not _has_ended(job, ended) and not _is_continued(job)]
    late = [job for job in held if job.created + HOLD_LIMIT <= now]
    replaced = _replaced(active, queued, by_job, now) if limits.replaces else []
    stopping = {patch.job.uid for patch in replaced}
    return Decisions(
        [
            *(_abandon(job, now) for job in late),
            *replaced,
            *(_requeue(job) for job in surplus(active, by_job, limits, leftovers=leftovers) if job.uid not in stopping),
            *(
                _admit(job, now)
                for job in admissible(
                    [job for job in queued if job.uid not in stopping], len(active) + leftovers, limits
                )
            ),
        ],
        min((job.created + HOLD_LIMIT for job in held if job not in late), default=None),
    )


def starts_run(action: JobAction) -> bool:
    """Return whether an action lets a run start that waits."""
    return isinstance(action, PatchJob) and constants.ANNOTATION_ADMITTED_AT in action.annotations


def admissible(queued: Sequence[Job], running: int, limits: Limits) -> list[Job]:
    """Return the Jobs that may start while `running` others are active, oldest first."""
    free = max(0, limits.max_active_runs - running)
    return sorted(queued, key=_order)[:free]


def surplus(active: Sequence[Job], runs: Mapping[str, Run], limits: Limits, *, leftovers: int = 0) -> list[Job]:
    """Return the scheduled Jobs that exceed the limit and have not begun, youngest first."""
    candidates = [job for job in active if _is_scheduled(job) and not _has_begun(job, runs.get(job.name))]
    excess = max(0, len(active) + leftovers - limits.max_active_runs)
    return sorted(candidates, key=_order, reverse=True)[:excess]


def _replaced(active: Sequence[Job], queued: Sequence[Job], runs: Mapping[str, Run], now: datetime) -> list[PatchJob]:
    """Return what stops all runs but the newest."""

    def began(job: Job) -> _Order:
        # A Job in which a run continues is younger than its run.
        created, requested, name = _order(job)
        run = runs.get(job.name)
        return min(created, run.start_time) if run else created, requested, name

    others = sorted([*active, *queued], key=began)[:-1]
    patches = (stop(job, REPLACED_BY, now) for job in others if not is_ending(job))
    return [patch for patch in patches if patch is not None]


def _admit(job: Job, now: datetime) -> PatchJob:
    return PatchJob(job, "admit it", {constants.ANNOTATION_ADMITTED_AT: format_timestamp(now)}, {"suspend": False})


def _requeue(job: Job) -> PatchJob:
    requested_at = format_timestamp(job.created)
    return PatchJob(job, "requeue it", {constants.ANNOTATION_REQUESTED_AT: requested_at}, {"suspend": True})


def _abandon(job: Job, now: datetime) -> PatchJob:
    return PatchJob(
        job, "abandon it, since its Secret was not written", {constants.ANNOTATION_STOP: format_timestamp(now)}
    )


def _order(job: Job) -> _Order:
    # Kubernetes knows whole seconds; within one, the client's own clock decides.
    return job.created, job.annotation(constants.ANNOTATION_REQUESTED_AT), job.name


def _is_queued_here(job: Job) -> bool:
    """Return whether a suspended Job waits for this operator, not for Kueue or another client that suspended it."""
    return (
        bool(job.annotation(constants.ANNOTATION_REQUESTED_AT))
        and not job.annotation(constants.ANNOTATION_ADMITTED_AT)
        and constants.ANNOTATION_STOP not in job.annotations
        and not job.queue_name
    )


def _is_scheduled(job: Job) -> bool:
    return (
        bool(job.annotation(constants.ANNOTATION_SCHEDULED_AT))
        and not job.annotation(constants.ANNOTATION_ADMITTED_AT)
        and not job.queue_name
        and not is_ending(job)
    )


def _has_begun(job: Job, run: Run | None) -> bool:
    if job.failed or job.succeeded or job.ready:
        return True
    return run is not None and (run.state != "queued" or any(attempt.start_time for attempt in run.attempts))


def _has_ended(job: Job, ended: set[str]) -> bool:
    return job.name in ended or job.condition("Complete", "Failed") is not None


def _is_continued(job: Job) -> bool:
    """Return whether the run continues in another Job, which has the slot."""
    return constants.ANNOTATION_REPLACED_BY in job.annotations
