"""Admission: which runs of a pipeline may start now; pure functions.

Requested runs wait as suspended Jobs. Scheduled Jobs start without admission; one that exceeds the limit and has not
started a container is suspended and queued. The oldest run is admitted first. With concurrency.policy Replace the
newest run wins: the others are stopped, and it starts once they have ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.runs.actions import JobAction, PatchJob
from ingestion_operator.runs.history import is_finished
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import is_between_memory_limits
from ingestion_operator.runs.stopping import REPLACED_BY, is_ending, stop

HOLD_LIMIT: Final = timedelta(seconds=60)
"""How long a run may lack its Secret before it is stopped, since its client has probably crashed."""

_Order = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs of the pipeline may be active, and whether a new run stops the active ones."""

    max_active_runs: int
    replaces: bool = False
    """Whether concurrency.policy is Replace."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Actions on the Jobs of a pipeline, in this order."""

    actions: list[JobAction] = field(default_factory=list)
    requeue_at: datetime | None = None
    """When to decide again without an event."""


def decide(jobs: Sequence[Job], runs: Sequence[Run], limits: Limits, now: datetime, *, orphans: int = 0) -> Decisions:
    """Return the actions; `runs` are all runs of the pipeline.

    `orphans` is the number of runs without a Job whose container still runs: each uses a slot until it has ended.
    """
    by_job = {run.job: run for run in runs}
    ended = {run.job for run in runs if is_finished(run)}
    # A run that is suspended for a larger memory limit is active and keeps its slot.
    active_or_ended = [job for job in jobs if not job.is_suspended or is_between_memory_limits(job)]
    suspended = [job for job in jobs if job not in active_or_ended and not job.is_deleting]
    waiting = [job for job in suspended if _is_queued_here(job)]
    held = [job for job in waiting if constants.ANNOTATION_ADMISSION_HOLD in job.annotations]
    queued = [job for job in waiting if job not in held]
    active = [job for job in active_or_ended if not _has_ended(job, ended) and not _is_replaced(job)]
    late = [job for job in held if job.created + HOLD_LIMIT <= now]
    replaced = _replaced(active, queued, by_job, now) if limits.replaces else []
    stopping = {patch.job.uid for patch in replaced}
    return Decisions(
        [
            *(_stop_abandoned(job, now) for job in late),
            *replaced,
            *(_requeue(job) for job in surplus(active, by_job, limits, orphans=orphans) if job.uid not in stopping),
            *(
                _admit(job, now)
                for job in admissible([job for job in queued if job.uid not in stopping], len(active) + orphans, limits)
            ),
        ],
        min((job.created + HOLD_LIMIT for job in held if job not in late), default=None),
    )


def starts_run(action: JobAction) -> bool:
    """Return whether an action admits a queued run."""
    return isinstance(action, PatchJob) and constants.ANNOTATION_ADMITTED_AT in action.annotations


def admissible(queued: Sequence[Job], running: int, limits: Limits) -> list[Job]:
    """Return the Jobs that may start while `running` others are active, oldest first."""
    free = max(0, limits.max_active_runs - running)
    return sorted(queued, key=_order)[:free]


def surplus(active: Sequence[Job], runs: Mapping[str, Run], limits: Limits, *, orphans: int = 0) -> list[Job]:
    """Return the scheduled Jobs that exceed the limit and have not started, newest first."""
    candidates = [job for job in active if _is_scheduled(job) and not _has_started(job, runs.get(job.name))]
    excess = max(0, len(active) + orphans - limits.max_active_runs)
    return sorted(candidates, key=_order, reverse=True)[:excess]


def _replaced(active: Sequence[Job], queued: Sequence[Job], runs: Mapping[str, Run], now: datetime) -> list[PatchJob]:
    """Return the patches that stop all runs but the newest."""

    def start_order(job: Job) -> _Order:
        # A replacement Job is newer than its run.
        created, requested, name = _order(job)
        run = runs.get(job.name)
        return min(created, run.start_time) if run else created, requested, name

    others = sorted([*active, *queued], key=start_order)[:-1]
    patches = (stop(job, REPLACED_BY, now) for job in others if not is_ending(job))
    return [patch for patch in patches if patch is not None]


def _admit(job: Job, now: datetime) -> PatchJob:
    return PatchJob(job, "admit", {constants.ANNOTATION_ADMITTED_AT: format_timestamp(now)}, {"suspend": False})


def _requeue(job: Job) -> PatchJob:
    requested_at = format_timestamp(job.created)
    return PatchJob(job, "requeue", {constants.ANNOTATION_REQUESTED_AT: requested_at}, {"suspend": True})


def _stop_abandoned(job: Job, now: datetime) -> PatchJob:
    return PatchJob(job, "stop (its Secret was not written)", {constants.ANNOTATION_STOP: format_timestamp(now)})


def _order(job: Job) -> _Order:
    # creationTimestamp has whole seconds; within a second, the client's clock decides.
    return job.created, job.annotation(constants.ANNOTATION_REQUESTED_AT), job.name


def _is_queued_here(job: Job) -> bool:
    """Return whether a suspended Job waits for this operator, not for Kueue or a client that suspended it."""
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


def _has_started(job: Job, run: Run | None) -> bool:
    if job.failed or job.succeeded or job.ready:
        return True
    return run is not None and (run.state != "queued" or any(attempt.start_time for attempt in run.attempts))


def _has_ended(job: Job, ended: set[str]) -> bool:
    return job.name in ended or job.condition("Complete", "Failed") is not None


def _is_replaced(job: Job) -> bool:
    """Return whether the run continues in a replacement Job, which has the slot."""
    return constants.ANNOTATION_REPLACED_BY in job.annotations
