"""The record of a run, from its Job and pods.

Order of precedence, strongest first:

0. A stop of the Job was requested (kill): a failure after that is not a failure, the run is stopped. A Job that the
   operator terminated, since no pod of it started or its pods were disrupted too often, has failed for the reason in
   its annotation.
1. The Job is finished (condition Complete or Failed): so is the run. The runner's outcome distinguishes success from
   partialSuccess and gives the reason of a failure, unless Kubernetes terminated the pod (memory, eviction, deadline).
   A workflow that reported its success before its pod was terminated has succeeded. So the run is running while a
   container that received SIGTERM still runs; not on a lost node, whose pod may never report again.
2. The Job is suspended because its run was out of memory: running, and the next attempt gets more.
3. The Job is suspended for another reason: queued.
4. The last attempt is finished, and no other may follow: the run is finished, before the Job is. This applies
   a) after an exit code with which another attempt would end too;
   b) when the Job has no attempt left;
   c) out of memory without a larger limit left, or after more other failures than retry.limit: the Job would continue,
      since its backoffLimit counts both kinds together, and the operator terminates it (`runs.retry.oom_retry`).
5. The last attempt is finished, and another follows: running; after out of memory, the next one gets more.
6. A container runs: running, even if an active operator would have prevented it; NodeLost if its node does not report.
7. Otherwise the run waits, with the cause of the wait: queued, or running if an attempt has run before.

A run that was terminated as NodeLost is corrected by its container's own outcome, if that is reported later.

An attempt that was interrupted to raise the memory limit is not counted.
"""

from collections.abc import Sequence
from datetime import datetime

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Report, Run, RunState, RunSummary, Trigger
from ingestion_operator.k8s.objects import Condition
from ingestion_operator.runs.failures import attempts_of, has_another_attempt, is_used_up
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pod_start_failures import SILENT, cause_in_pod
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runs.retry.memory import (
    OUT_OF_MEMORY,
    SUPERSEDED,
    has_larger_limit,
    is_between_memory_limits,
    larger_memory_limits,
    memory_fix,
    out_of_memory_message,
)
from ingestion_operator.runs.stopping import REPLACED_BY
from ingestion_operator.runs.truncate import cut

NODE_LOST = "NodeLost"
REPLACED = "Replaced"
_KUBERNETES_REASONS = (OUT_OF_MEMORY, "Evicted", "DeadlineExceeded", NODE_LOST, "Preempting")
_QUEUED = "Queued"
_RETRYING = "Retrying"

_State = tuple[RunState, str, str, datetime | None]
"""State, reason, message and, for a finished run, its end."""


def classify(job: Job, pods: Sequence[Pod]) -> Run:
    """Return the record of a Job's run; `pods` are those of the Job, in any order."""
    attempts = attempts_of(job, pods)
    state, reason, message, end = _state(job, attempts)
    outcome = next((a.outcome for a in reversed(attempts) if a.outcome), None)
    summary = None
    if outcome is not None and outcome.records is not None:
        summary = RunSummary(records=outcome.records, warnings=outcome.warnings or 0, errors=outcome.errors or 0)
    run = Run(
        id=job.run_id,
        job=job.name,
        trigger=trigger(job),
        state=state,
        reason=reason,
        message=cut(message, constants.MESSAGE_LIMIT_BYTES),
        start_time=job.created,
        end_time=end,
        attempts=[a.attempt for a in attempts][-constants.ATTEMPTS_LIMIT :],
        summary=summary,
        target=job.target,
        disruptions=sum(pod.is_disrupted_by_others for pod in pods) or None,
        report=_report(job, attempts, state),
    )
    return as_running_after_start(run)


def as_running_after_start(run: Run) -> Run:
    """Return a run that waits for its next pod as running if an attempt has run before, else unchanged."""
    if run.state != "queued" or run.reason == _QUEUED or not any(attempt.start_time for attempt in run.attempts):
        return run
    return run.model_copy(update={"state": "running", "reason": _RETRYING if run.reason in SILENT else run.reason})


def trigger(job: Job) -> Trigger:
    """Return whether the schedule or a user started the run."""
    return "scheduled" if constants.ANNOTATION_SCHEDULED_AT in job.annotations else "manual"


def _state(job: Job, attempts: Sequence[Pod]) -> _State:
    last = next((one for one in reversed(attempts) if one.reason != SUPERSEDED), None)
    if (complete := job.condition("Complete", "SuccessCriteriaMet")) is not None:
        return _succeeded(last, complete.time or job.created)
    if (failed := job.condition("Failed", "FailureTarget")) is not None:
        return _job_failed(job, last, failed)
    if job.is_suspended:
        return _suspended(job, attempts, last)
    if last is None:
        return "queued", "Pending", "Waits for its pod", None
    if last.is_finished:
        return _attempt_ended(job, attempts, last)
    if last.is_running and not last.is_reachable:
        text = f"Node {last.node} does not report its status, nor that of pod {last.name}, which ran there"
        return "running", NODE_LOST, text, None
    if last.is_running:
        return "running", "Running", f"Attempt {len(attempts)} runs in pod {last.name}", None
    cause = cause_in_pod(last.waiting_reason, last.waiting_message)
    return "queued", cause.reason, f"Pod {last.name} waits: {cause.text}", None


def _job_failed(job: Job, last: Pod | None, failed: Condition) -> _State:
    end, job_reason = failed.time or job.created, failed.reason or "Failed"
    if last is not None and last.has_succeeded:
        return _succeeded(last, end)
    if last is not None and last.is_ending and job.condition("Failed") is None:
        return "running", "Stopping", f"Pod {last.name} is terminating: {job_reason}", None
    if job_reason == "DeadlineExceeded" and (termination := _termination(job)) is not None:
        if last is not None and termination[0] == NODE_LOST and last.has_ended_by_itself:
            return _failed(job, last, job_reason, "", end)
        return "failed", *termination, end
    if _was_stopped(job, last, job_reason):
        return _stopped(job, last, end)
    return _failed(job, last, job_reason, failed.message, end)


def _suspended(job: Job, attempts: Sequence[Pod], last: Pod | None) -> _State:
    is_resizing, stop = is_between_memory_limits(job), stop_time(job)
    if stop is not None:
        return _stopped(job, last if is_resizing else None, stop)
    if is_resizing:
        return "running", OUT_OF_MEMORY, out_of_memory_message(job, [one.attempt for one in attempts]), None
    return "queued", _QUEUED, "Waits for a free slot", None


def _attempt_ended(job: Job, attempts: Sequence[Pod], last: Pod) -> _State:
    """Decide from the pod if no retry is left; the Job's condition follows a second or more later."""
    end = last.end_time
    if end is not None and last.exit_code == 0:
        return _succeeded(last, end)
    if end is not None and _was_stopped(job, last, None):
        return _stopped(job, last, end)
    if end is not None and not has_another_attempt(job, attempts, last):
        return _failed(job, last, "Failed", "", end)
    if larger_memory_limits(job) and last.reason == OUT_OF_MEMORY:
        return "running", OUT_OF_MEMORY, out_of_memory_message(job, [one.attempt for one in attempts]), None
    next_step = "no retry is left and the Job is terminated" if is_used_up(job, attempts) else "another attempt follows"
    return "running", _RETRYING, f"Attempt {len(attempts)} ended ({last.reason}); {next_step}", None


def _succeeded(last: Pod | None, job_end: datetime) -> _State:
    outcome = last.outcome if last else None
    end = (last.end_time if last else None) or job_end
    if outcome is not None and outcome.state in ("success", "partialSuccess"):
        return outcome.state, outcome.reason, outcome.message, end
    return "success", "Succeeded", "The workflow ended with exit code 0", end


def _failed(job: Job, last: Pod | None, job_reason: str, job_message: str, job_end: datetime) -> _State:
    if last is None:
        return "failed", job_reason[:64], job_message, job_end
    end = last.end_time or job_end
    reason = last.reason or job_reason
    if reason in _KUBERNETES_REASONS or last.outcome is None:
        exit_code = "" if last.exit_code is None else f", exit code {last.exit_code}"
        remark = memory_fix(job, last.attempt) if reason == OUT_OF_MEMORY else job_message
        return "failed", reason[:64], f"Pod {last.name}: {reason}{exit_code}. {remark}".strip(), end
    state: RunState = "stopped" if last.outcome.state == "stopped" else "failed"
    return state, last.outcome.reason, last.outcome.message, end


def _report(job: Job, attempts: Sequence[Pod], state: RunState) -> Report | None:
    """Return Done if the last attempt has reported the end of the run, else Pending; None for an unfinished run."""
    if state not in FINISHED_STATES:
        return None
    outcome = attempts[-1].outcome if attempts else None
    is_last = len(attempts) >= job.failed + job.succeeded  # no later pod was missed
    return "Done" if outcome is not None and outcome.is_reported and outcome.state == state and is_last else "Pending"


def stop_time(job: Job) -> datetime | None:
    """Return when the stop of the run was requested; None if it was not."""
    if not job.annotation(constants.ANNOTATION_STOP):
        return None
    # Another client may have written any text: it is still a request.
    return job.time(constants.ANNOTATION_STOP) or job.created


def _termination(job: Job) -> tuple[str, str] | None:
    """Return reason and message of a run whose Job the operator terminated, else None."""
    if constants.ANNOTATION_TERMINATED_REASON not in job.annotations:
        return None
    reason, _, message = job.annotation(constants.ANNOTATION_TERMINATED_REASON).partition(": ")
    return reason[:64], message


def _was_stopped(job: Job, last: Pod | None, job_reason: str | None) -> bool:
    """Return whether a run failed because of a stop request, not before it."""
    stop = stop_time(job)
    if stop is None:
        return False
    end = last.end_time if last else None
    if constants.ANNOTATION_NEXT_MEMORY_LIMIT in job.annotations:
        return True  # it was suspended for a larger memory limit when the stop was requested
    # The Job has a deadline only if it was stopped or terminated.
    return job_reason == "DeadlineExceeded" or (end is not None and end >= stop)


def _stopped(job: Job, last: Pod | None, job_end: datetime) -> _State:
    end = (last.end_time if last else None) or job_end
    if constants.ANNOTATION_ADMISSION_HOLD in job.annotations:
        return "stopped", "Abandoned", "The run's Secret was never written: start it again", end
    has_started = (last is not None and last.start_time is not None) or has_larger_limit(job)
    suffix = "" if has_started else " before it started"
    caller = job.annotation(constants.ANNOTATION_STOPPED_BY)
    if caller == REPLACED_BY:
        return "stopped", REPLACED, f"Replaced{suffix} by {caller}", end
    return "stopped", "Killed", f"Stopped on request{f' of {caller}' if caller else ''}{suffix}", end
