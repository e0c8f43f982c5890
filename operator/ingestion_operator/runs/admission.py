"""Which runs of a pipeline may start now; pure functions.

Runs that somebody asked for wait as suspended Jobs. Scheduled Jobs start by themselves; one that finds no free
slot and has not begun is put among the waiting. The oldest goes first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.runs.memory import is_between_sizes

HOLD_LIMIT: Final = timedelta(seconds=60)
"""How long a run may lack its Secret before it is given up: whoever started it has crashed."""

Job = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """How many runs of the pipeline may be active at once."""

    max_active_runs: int


@dataclass(frozen=True)
class Decisions:
    """What to do with the Jobs of a pipeline now."""

    admit: list[Job] = field(default_factory=list)
    put_back: list[Job] = field(default_factory=list)
    """Scheduled Jobs that have to wait."""
    give_up: list[Job] = field(default_factory=list)
    """Jobs whose own configuration was never written."""
    remove: list[Job] = field(default_factory=list)
    """Stopped while they waited, and recorded: nothing is left to show."""
    again_at: datetime | None = None
    """When to decide again though nothing happens."""


def decide(
    jobs: Sequence[Job], recorded: Sequence[Run], limits: Limits, now: datetime, *, leftovers: int = 0
) -> Decisions:
    """Return what to do; `recorded` are the runs as they stand in the pipeline's written status.

    `leftovers` are runs without a Job whose container still works: each has a slot until it has ended.
    """
    runs = {run.job: run for run in recorded}
    ended = {run.job for run in recorded if run.state in FINISHED_STATES}
    # One that is suspended to be given more memory is under way: it keeps its slot, and is settled elsewhere.
    under_way = [job for job in jobs if not job["spec"].get("suspend") or is_between_sizes(job)]
    suspended = [job for job in jobs if job not in under_way and not _is_going(job)]
    marked = [job for job in suspended if _annotation(job, constants.ANNOTATION_STOP)]
    waiting = [job for job in suspended if job not in marked and _is_queued_here(job)]
    held = [job for job in waiting if _annotation(job, constants.ANNOTATION_HOLD)]
    active = [job for job in under_way if not _has_ended(job, ended) and not _is_continued(job)]
    late = [job for job in held if _created(job) + HOLD_LIMIT <= now]
    return Decisions(
        admit=admit([job for job in waiting if job not in held], len(active) + leftovers, limits),
        put_back=surplus(active, runs, limits, leftovers=leftovers),
        give_up=late,
        remove=[job for job in marked if _name(job) in ended],
        again_at=min((_created(job) + HOLD_LIMIT for job in held if job not in late), default=None),
    )


def admit(queued: Sequence[Job], running: int, limits: Limits) -> list[Job]:
    """Return the Jobs that may start while `running` others are active, oldest first."""
    free = max(0, limits.max_active_runs - running)
    return sorted(queued, key=_order)[:free]


def surplus(active: Sequence[Job], runs: Mapping[str, Run], limits: Limits, *, leftovers: int = 0) -> list[Job]:
    """Return the scheduled Jobs that exceed the limit and have not begun, youngest first."""
    candidates = [job for job in active if _is_scheduled(job) and not _has_begun(job, runs.get(_name(job)))]
    excess = max(0, len(active) + leftovers - limits.max_active_runs)
    return sorted(candidates, key=_order, reverse=True)[:excess]


def _order(job: Job) -> tuple[str, str, str]:
    # Kubernetes knows whole seconds; within one, the caller's own clock decides.
    requested = _annotation(job, constants.ANNOTATION_REQUESTED_AT)
    return str(job["metadata"]["creationTimestamp"]), requested, _name(job)


def _is_queued_here(job: Job) -> bool:
    """Tell whether a suspended Job waits for this operator: not for Kueue, nor because somebody suspended it."""
    return (
        bool(_annotation(job, constants.ANNOTATION_REQUESTED_AT))
        and not _annotation(job, constants.ANNOTATION_ADMITTED_AT)
        and constants.LABEL_QUEUE_NAME not in job["metadata"].get("labels", {})
    )


def _is_scheduled(job: Job) -> bool:
    return (
        bool(_annotation(job, constants.ANNOTATION_SCHEDULED_AT))
        and not _annotation(job, constants.ANNOTATION_ADMITTED_AT)
        and not _annotation(job, constants.ANNOTATION_STOP)
        and not _annotation(job, constants.ANNOTATION_GAVE_UP)
        and constants.LABEL_QUEUE_NAME not in job["metadata"].get("labels", {})
        and not _is_going(job)
    )


def _has_begun(job: Job, run: Run | None) -> bool:
    status = job.get("status", {})
    if status.get("failed") or status.get("succeeded") or status.get("ready"):
        return True
    return run is not None and (run.state != "queued" or any(attempt.start_time for attempt in run.attempts))


def _has_ended(job: Job, ended: set[str]) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return _name(job) in ended or any(
        c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in conditions
    )


def _is_continued(job: Job) -> bool:
    """Tell whether the run goes on in another Job, which has the slot."""
    return bool(_annotation(job, constants.ANNOTATION_CONTINUED_BY))


def _is_going(job: Job) -> bool:
    return bool(job["metadata"].get("deletionTimestamp"))


def _annotation(job: Job, key: str) -> str:
    return str(job["metadata"].get("annotations", {}).get(key, ""))


def _name(job: Job) -> str:
    return str(job["metadata"]["name"])


def _created(job: Job) -> datetime:
    created = parse_timestamp(job["metadata"]["creationTimestamp"])
    if created is None:
        raise ValueError("a Job without creationTimestamp")
    return created
