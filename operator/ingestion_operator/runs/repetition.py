"""What has to be done to Jobs so that a run is repeated with more memory, and only then; pure functions.

A step takes two writes, since Kubernetes changes a pod template only while its Job is suspended and has no pod:

1. the Job is suspended, and an annotation says which size comes;
2. once its pods are gone it gets that size and goes on.

Each write follows from what is there, so that a crash in between is made up for by the next look. An older
Kubernetes refuses the second: the run then goes on in another Job (`runs.successor`) under the same run id. The
first stays suspended until the run has ended: what belongs to it, such as the run's own Secret, must live as long,
and it keeps the CronJob from starting another run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingestion_operator import constants
from ingestion_operator.memory_sizes import is_less
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.runs.classify import run_id
from ingestion_operator.runs.memory import (
    OUT_OF_MEMORY,
    current_limit,
    is_between_sizes,
    next_size,
    out_of_memory_within,
    sizes_of,
)
from ingestion_operator.runs.successor import successor_name

Job = dict[str, Any]

_NOT_REPEATED = (constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE)


@dataclass(frozen=True)
class Suspend:
    """Let the Job make no other pod: its run has run out of memory."""

    job: Job
    size: str
    """The limit that comes."""
    backoff_limit: int
    """Makes up for attempts that ran out of memory at the same size."""


@dataclass(frozen=True)
class Resume:
    """Give the suspended Job, which has no pod, the size and let it go on."""

    job: Job
    size: str


@dataclass(frozen=True)
class End:
    """Let the Job fail: its run is over, though it has attempts left."""

    job: Job


@dataclass(frozen=True)
class Note:
    """Note on the Job that its run goes on in another."""

    job: Job
    successor: str


@dataclass(frozen=True)
class Stop:
    """Stop the Job that a run goes on in, as was asked of the one before."""

    job: Job
    since: str


@dataclass(frozen=True)
class Remove:
    """Delete a Job whose run went on in another, and has ended or lost that one."""

    job: Job


Action = Suspend | Resume | End | Note | Stop | Remove


def decide(jobs: Sequence[Job], recorded: Sequence[Run]) -> list[Action]:
    """Return what to do; `recorded` are the runs as they stand in the pipeline's written status."""
    runs = {run.id: run for run in recorded}
    names = {str(job["metadata"]["name"]): job for job in jobs}
    actions = (_of_job(job, runs.get(run_id(job)), names) for job in jobs)
    return [action for action in actions if action is not None]


def _of_job(job: Job, run: Run | None, names: Mapping[str, Job]) -> Action | None:
    if job["metadata"].get("deletionTimestamp") or _has(job, "Complete", "Failed") or run is None:
        return None
    if is_between_sizes(job):
        return _between_sizes(job, run, names)
    is_ours = sizes_of(job) and not job["spec"].get("suspend") and not _annotation(job, constants.ANNOTATION_STOP)
    if not is_ours or _has(job, "SuccessCriteriaMet", "FailureTarget"):
        return None
    if run.state == "failed" and _would_go_on(job, run):
        return End(job)
    return _more_memory(job, run)


def _more_memory(job: Job, run: Run) -> Action | None:
    if (run.state, run.reason) != ("running", OUT_OF_MEMORY):
        return None
    limit = current_limit(job)
    outgrown = next((a.memory for a in reversed(run.attempts) if a.reason == OUT_OF_MEMORY), None)
    size = next_size(job, outgrown)
    if limit is None or size is None or not is_less(limit, size):
        return None  # it has that size already
    budget = int(job["spec"].get("backoffLimit", 0))
    if not _annotation(job, constants.ANNOTATION_MEMORY_STEP):
        budget += max(0, out_of_memory_within(limit, run.attempts) - 1)
    return Suspend(job, size, budget)


def _between_sizes(job: Job, run: Run, names: Mapping[str, Job]) -> Action | None:
    has_ended = run.state in FINISHED_STATES
    name = successor_name(job)
    successor = names.get(name)
    if _annotation(job, constants.ANNOTATION_CONTINUED_BY):
        if successor is None or has_ended:
            return Remove(job)
        stop = _annotation(job, constants.ANNOTATION_STOP)
        is_stopped = _annotation(successor, constants.ANNOTATION_STOP)
        return Stop(successor, stop) if stop and not is_stopped else None
    if successor is not None:
        return Note(job, name)
    if has_ended:
        return End(job)
    # Before Kubernetes has noted the suspension it refuses another template, as an old one does at any time.
    is_at_rest = _has(job, "Suspended") and not job.get("status", {}).get("active")
    return Resume(job, _annotation(job, constants.ANNOTATION_MEMORY_STEP)) if is_at_rest else None


def _would_go_on(job: Job, run: Run) -> bool:
    if run.attempts and run.attempts[-1].exit_code in _NOT_REPEATED:
        return False
    return int(job.get("status", {}).get("failed", 0)) <= int(job["spec"].get("backoffLimit", 0))


def _has(job: Job, *kinds: str) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(c.get("type") in kinds and c.get("status") == "True" for c in conditions)


def _annotation(job: Job, key: str) -> str:
    return str(job["metadata"].get("annotations", {}).get(key, ""))
