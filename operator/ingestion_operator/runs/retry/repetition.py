"""What has to be done to Jobs so that a run is repeated with more memory, and only then; pure functions.

A step takes two writes, since Kubernetes changes a pod template only while its Job is suspended and has no pod:

1. the Job is suspended, and an annotation holds the size that comes;
2. once its pods are gone it gets that size and goes on.

Each write follows from what is there, so that the next reconciliation makes up for a crash in between. An older
Kubernetes refuses the second: the run then continues in another Job (`runs.successor`) under the same run id. The
first stays suspended until the run has ended: what belongs to it, such as the run's own Secret, must live as long,
and it keeps the CronJob from starting another run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.k8s.memory import is_less
from ingestion_operator.runs.actions import DeleteJob, JobAction, PatchJob, ResumeJob
from ingestion_operator.runs.failures import NOT_REPEATED
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import (
    OUT_OF_MEMORY,
    current_limit,
    is_between_sizes,
    next_size,
    out_of_memory_within,
    sizes_of,
)
from ingestion_operator.runs.retry.replacement import successor_name
from ingestion_operator.runs.stopping import DEADLINE_SECONDS
from ingestion_operator.runs.truncate import cut

_LET_FAIL: Final[Mapping[str, Any]] = {"suspend": False, "backoffLimit": 0}
"""Kubernetes counts failures before it makes pods: the Job fails at once, and the pods that have ended stay."""

_REFUSAL_BYTES: Final = 400


def decide(jobs: Sequence[Job], runs: Sequence[Run]) -> list[JobAction]:
    """Return what to do; the status must have `runs` before it is done."""
    by_id, by_name = {run.id: run for run in runs}, {job.name: job for job in jobs}
    actions = (_of_job(job, by_id.get(job.run_id), by_name) for job in jobs)
    return [action for action in actions if action is not None]


def continued(job: Job, successor: str) -> PatchJob:
    """Return what notes on a Job that its run continues in another."""
    return PatchJob(job, f"note that {successor} continues its run", {constants.ANNOTATION_REPLACED_BY: successor})


def refused(job: Job, error: str) -> PatchJob:
    """Return what ends a Job to which Kubernetes refuses more memory."""
    refusal = {constants.ANNOTATION_MEMORY_RESIZE_ERROR: cut(error, _REFUSAL_BYTES)}
    return PatchJob(job, "let it fail, since more memory is refused", refusal, _LET_FAIL)


def _of_job(job: Job, run: Run | None, by_name: Mapping[str, Job]) -> JobAction | None:
    if job.is_deleting or job.condition("Complete", "Failed") is not None or run is None:
        return None
    if is_between_sizes(job):
        return _between_sizes(job, run, by_name)
    is_ours = sizes_of(job) and not job.is_suspended and constants.ANNOTATION_STOP not in job.annotations
    if not is_ours or job.has_finished:
        return None
    if run.state == "failed" and _would_go_on(job, run):
        return _let_fail(job)
    return _more_memory(job, run)


def _more_memory(job: Job, run: Run) -> JobAction | None:
    if (run.state, run.reason) != ("running", OUT_OF_MEMORY):
        return None
    limit = current_limit(job)
    outgrown = next((a.memory for a in reversed(run.attempts) if a.reason == OUT_OF_MEMORY), None)
    size = next_size(job, outgrown)
    if limit is None or size is None or not is_less(limit, size):
        return None  # it has that size already
    budget = job.backoff_limit
    if constants.ANNOTATION_NEXT_MEMORY_LIMIT not in job.annotations:
        # Makes up for attempts that ran out of memory at the same size.
        budget += max(0, out_of_memory_within(limit, run.attempts) - 1)
    step = {constants.ANNOTATION_NEXT_MEMORY_LIMIT: size}
    return PatchJob(job, f"suspend it, to give it {size}", step, {"suspend": True, "backoffLimit": budget})


def _between_sizes(job: Job, run: Run, by_name: Mapping[str, Job]) -> JobAction | None:
    has_ended = run.state in FINISHED_STATES
    name = successor_name(job)
    successor = by_name.get(name)
    if constants.ANNOTATION_REPLACED_BY in job.annotations:
        if successor is None or has_ended:
            return DeleteJob(job, "delete it, since its run continued in another Job and that has ended")
        return _stop_alike(successor, job)
    if successor is not None:
        return continued(job, name)
    if has_ended:
        return _let_fail(job)
    # Before Kubernetes has noted the suspension it refuses another template, as an old one does at any time.
    is_idle = job.condition("Suspended") is not None and not job.active
    return ResumeJob(job, job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)) if is_idle else None


def _stop_alike(successor: Job, job: Job) -> PatchJob | None:
    """Return what stops the Job in which a run continues, as was requested of the one before."""
    if constants.ANNOTATION_STOP not in job.annotations or constants.ANNOTATION_STOP in successor.annotations:
        return None
    keys = (constants.ANNOTATION_STOP, constants.ANNOTATION_STOPPED_BY)
    request = {key: job.annotation(key) for key in keys if key in job.annotations}
    return PatchJob(successor, "stop it", request, {"activeDeadlineSeconds": DEADLINE_SECONDS})


def _let_fail(job: Job) -> PatchJob:
    return PatchJob(job, "let it fail, since no retry is left", spec=_LET_FAIL)


def _would_go_on(job: Job, run: Run) -> bool:
    if run.attempts and run.attempts[-1].exit_code in NOT_REPEATED:
        return False
    return job.failed <= job.backoff_limit
