"""Retries of runs with more memory after out of memory; pure functions.

A retry takes two writes, since Kubernetes allows changes of a pod template only while the Job is suspended and has no
pod:

1. suspend the Job, with the next memory limit in an annotation;
2. once its pods are gone, set that limit and resume the Job.

Each write is decided from the current state, so that the next reconciliation continues after a crash in between. Older
versions of Kubernetes reject the second write: the run then continues in a replacement Job (`runs.retry.replacement`)
with the same run id. The first Job stays suspended until the run has ended: its dependents, such as the run's Secret,
must exist until then, and it prevents the CronJob from starting another run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.k8s.quantities import is_less
from ingestion_operator.runs.actions import DeleteJob, JobAction, PatchJob, ResumeJob
from ingestion_operator.runs.failures import NOT_RETRIED
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.retry.memory import (
    OUT_OF_MEMORY,
    current_limit,
    is_between_memory_limits,
    larger_memory_limits,
    next_memory_limit,
    out_of_memory_within,
)
from ingestion_operator.runs.retry.replacement import replacement_name
from ingestion_operator.runs.stopping import DEADLINE_SECONDS
from ingestion_operator.runs.truncate import cut

_LET_FAIL: Final[Mapping[str, Any]] = {"suspend": False, "backoffLimit": 0}
"""Kubernetes counts failures before it creates pods: the Job fails immediately, and its ended pods stay."""

_ERROR_BYTES: Final = 400


def decide(jobs: Sequence[Job], runs: Sequence[Run]) -> list[JobAction]:
    """Return the actions. The status must record `runs` before they are executed."""
    by_id, by_name = {run.id: run for run in runs}, {job.name: job for job in jobs}
    actions = (_decide_for_job(job, by_id.get(job.run_id), by_name) for job in jobs)
    return [action for action in actions if action is not None]


def record_replacement(job: Job, replacement: str) -> PatchJob:
    """Return the patch that records the replacement of a Job."""
    return PatchJob(job, f"record its replacement {replacement}", {constants.ANNOTATION_REPLACED_BY: replacement})


def record_resize_error(job: Job, error: str) -> PatchJob:
    """Return the patch that terminates a Job whose memory limit Kubernetes rejects."""
    annotations = {constants.ANNOTATION_MEMORY_RESIZE_ERROR: cut(error, _ERROR_BYTES)}
    return PatchJob(job, "terminate (the memory limit is rejected)", annotations, _LET_FAIL)


def _decide_for_job(job: Job, run: Run | None, by_name: Mapping[str, Job]) -> JobAction | None:
    if job.is_deleting or job.condition("Complete", "Failed") is not None or run is None:
        return None
    if is_between_memory_limits(job):
        return _resume_with_next_limit(job, run, by_name)
    has_limits = larger_memory_limits(job) and not job.is_suspended and constants.ANNOTATION_STOP not in job.annotations
    if not has_limits or job.has_finished:
        return None
    if run.state == "failed" and _would_continue(job, run):
        return _let_fail(job)
    return _suspend_for_next_limit(job, run)


def _suspend_for_next_limit(job: Job, run: Run) -> JobAction | None:
    if (run.state, run.reason) != ("running", OUT_OF_MEMORY):
        return None
    limit = current_limit(job)
    exceeded = next((a.memory for a in reversed(run.attempts) if a.reason == OUT_OF_MEMORY), None)
    following = next_memory_limit(job, exceeded)
    if limit is None or following is None or not is_less(limit, following):
        return None  # it has that limit already
    budget = job.backoff_limit
    if constants.ANNOTATION_NEXT_MEMORY_LIMIT not in job.annotations:
        # Compensates for attempts that ran out of memory with the same limit.
        budget += max(0, out_of_memory_within(limit, run.attempts) - 1)
    annotations = {constants.ANNOTATION_NEXT_MEMORY_LIMIT: following}
    return PatchJob(
        job, f"suspend (next memory limit {following})", annotations, {"suspend": True, "backoffLimit": budget}
    )


def _resume_with_next_limit(job: Job, run: Run, by_name: Mapping[str, Job]) -> JobAction | None:
    has_ended = run.state in FINISHED_STATES
    name = replacement_name(job)
    replacement = by_name.get(name)
    if constants.ANNOTATION_REPLACED_BY in job.annotations:
        if replacement is None or has_ended:
            return DeleteJob(job, "delete (replaced)")
        return _propagate_stop(replacement, job)
    if replacement is not None:
        return record_replacement(job, name)
    if has_ended:
        return _let_fail(job)
    # Before the condition Suspended is set, Kubernetes rejects a change of the template; older versions always do.
    is_idle = job.condition("Suspended") is not None and not job.active
    return ResumeJob(job, job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)) if is_idle else None


def _propagate_stop(replacement: Job, job: Job) -> PatchJob | None:
    """Return the patch that stops a replacement Job if the stop of the replaced Job was requested."""
    if constants.ANNOTATION_STOP not in job.annotations or constants.ANNOTATION_STOP in replacement.annotations:
        return None
    keys = (constants.ANNOTATION_STOP, constants.ANNOTATION_STOPPED_BY)
    request = {key: job.annotation(key) for key in keys if key in job.annotations}
    return PatchJob(replacement, "stop", request, {"activeDeadlineSeconds": DEADLINE_SECONDS})


def _let_fail(job: Job) -> PatchJob:
    return PatchJob(job, "terminate (no retry is left)", spec=_LET_FAIL)


def _would_continue(job: Job, run: Run) -> bool:
    if run.attempts and run.attempts[-1].exit_code in NOT_RETRIED:
        return False
    return job.failed <= job.backoff_limit
