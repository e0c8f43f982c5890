"""One record per run: what a Job and its pods amount to.

Order of precedence, strongest first:

0. The Job's end was requested (kill): a failure after that is not a failure, the run is stopped. A Job that the
   operator ended, since no pod of it started or its pods were disrupted too often, has failed for the reason in its
   annotation.
1. The Job is finished (condition Complete or Failed): the run is. The runner's own outcome distinguishes success from
   partialSuccess and gives the reason of a failure, unless Kubernetes ended the pod (memory, eviction, deadline).
   A workflow that reported its success before its pod was ended has succeeded. So while a container that was asked to
   end still runs, the run does too; not on a node that is lost, whose pod may never report again.
2. The Job is suspended because its run ran out of memory: running, and the next attempt gets more.
3. The Job is suspended for another reason: queued.
4. The last attempt is finished, and no other may follow: the run is finished, before the Job is. That is so
   a) after an exit code that another attempt would end with too;
   b) when the Job has no attempt left;
   c) out of memory with no larger size left, or with more other failures than retry.limit: the Job would go on,
      since its backoffLimit counts both kinds together, and the operator ends it (`runs.repetition`).
5. The last attempt is finished, and another follows: running; out of memory, the next one gets more.
6. A container runs: running, also when only an absent operator has let it come to that; NodeLost where its node does
   not report.
7. Otherwise the run waits, with what it waits for: queued, or running where an attempt has run before.

A run that was ended since its node did not report is what its own container reports after all, once it does.

An attempt that was taken back because more memory was on its way counts nowhere.
"""

from collections.abc import Sequence
from datetime import datetime

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Report, Run, RunState, RunSummary, Trigger
from ingestion_operator.runs.failures import attempts_of, has_another_attempt, is_used_up
from ingestion_operator.runs.jobs import Condition, Job
from ingestion_operator.runs.pod_start_failures import SILENT, cause_in_pod
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runs.retry.memory import (
    OUT_OF_MEMORY,
    SUPERSEDED,
    has_grown,
    is_between_sizes,
    next_attempt_gets_more,
    sizes_of,
    what_to_raise,
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
    """Return the record of the run that `job` is; `pods` are its own, in any order."""
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
    return under_way(run)


def under_way(run: Run) -> Run:
    """Return a run that waits for its next pod as running, once an attempt has run: it has left the queue."""
    if run.state != "queued" or run.reason == _QUEUED or not any(attempt.start_time for attempt in run.attempts):
        return run
    return run.model_copy(update={"state": "running", "reason": _RETRYING if run.reason in SILENT else run.reason})


def trigger(job: Job) -> Trigger:
    """Return what started the run."""
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
        return "running", "Stopping", f"Pod {last.name} has been asked to end: {job_reason}", None
    if job_reason == "DeadlineExceeded" and (verdict := _verdict(job)) is not None:
        if last is not None and verdict[0] == NODE_LOST and last.has_ended_by_itself:
            return _failed(job, last, job_reason, "", end)
        return "failed", *verdict, end
    if _was_stopped(job, last, job_reason):
        return _stopped(job, last, end)
    return _failed(job, last, job_reason, failed.message, end)


def _suspended(job: Job, attempts: Sequence[Pod], last: Pod | None) -> _State:
    is_growing, stop = is_between_sizes(job), stop_time(job)
    if stop is not None:
        return _stopped(job, last if is_growing else None, stop)
    if is_growing:
        return "running", OUT_OF_MEMORY, next_attempt_gets_more(job, [one.attempt for one in attempts]), None
    return "queued", _QUEUED, "Waits for a free slot", None


def _attempt_ended(job: Job, attempts: Sequence[Pod], last: Pod) -> _State:
    """Decide from the pod where no retry is left; the Job's own condition follows a second or more later."""
    end = last.end_time
    if end is not None and last.exit_code == 0:
        return _succeeded(last, end)
    if end is not None and _was_stopped(job, last, None):
        return _stopped(job, last, end)
    if end is not None and not has_another_attempt(job, attempts, last):
        return _failed(job, last, "Failed", "", end)
    if sizes_of(job) and last.reason == OUT_OF_MEMORY:
        return "running", OUT_OF_MEMORY, next_attempt_gets_more(job, [one.attempt for one in attempts]), None
    follows = "the Job is being ended, since no retry is left" if is_used_up(job, attempts) else "another follows"
    return "running", _RETRYING, f"Attempt {len(attempts)} ended ({last.reason}); {follows}", None


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
        remark = what_to_raise(job, last.attempt) if reason == OUT_OF_MEMORY else job_message
        return "failed", reason[:64], f"Pod {last.name}: {reason}{exit_code}. {remark}".strip(), end
    state: RunState = "stopped" if last.outcome.state == "stopped" else "failed"
    return state, last.outcome.reason, last.outcome.message, end


def _report(job: Job, attempts: Sequence[Pod], state: RunState) -> Report | None:
    """Return whether OpenMetadata has the end of the run already, according to the last attempt."""
    if state not in FINISHED_STATES:
        return None
    outcome = attempts[-1].outcome if attempts else None
    is_last = len(attempts) >= job.failed + job.succeeded  # no later pod is gone unseen
    return "Done" if outcome is not None and outcome.is_told and outcome.state == state and is_last else "Pending"


def stop_time(job: Job) -> datetime | None:
    """Return when the end of the run was requested, None if it was not."""
    if not job.annotation(constants.ANNOTATION_STOP):
        return None
    # Another client may have written any other text: it is a request all the same.
    return job.time(constants.ANNOTATION_STOP) or job.created


def _verdict(job: Job) -> tuple[str, str] | None:
    """Return reason and message of a run whose Job the operator ended."""
    if constants.ANNOTATION_TERMINATED_REASON not in job.annotations:
        return None
    reason, _, message = job.annotation(constants.ANNOTATION_TERMINATED_REASON).partition(": ")
    return reason[:64], message


def _was_stopped(job: Job, last: Pod | None, job_reason: str | None) -> bool:
    """Return whether a run failed because it was asked to end; one that had failed before that has failed."""
    stop = stop_time(job)
    if stop is None:
        return False
    end = last.end_time if last else None
    if constants.ANNOTATION_NEXT_MEMORY_LIMIT in job.annotations:
        return True  # it was suspended for more memory when its end was requested
    # The Job has no deadline but the one that ends it.
    return job_reason == "DeadlineExceeded" or (end is not None and end >= stop)


def _stopped(job: Job, last: Pod | None, job_end: datetime) -> _State:
    end = (last.end_time if last else None) or job_end
    if constants.ANNOTATION_ADMISSION_HOLD in job.annotations:
        return "stopped", "Abandoned", "The run's own configuration was never written: start it again", end
    has_started = (last is not None and last.start_time is not None) or has_grown(job)
    suffix = "" if has_started else " before it began"
    caller = job.annotation(constants.ANNOTATION_STOPPED_BY)
    if caller == REPLACED_BY:
        return "stopped", REPLACED, f"Replaced{suffix} by {caller}", end
    return "stopped", "Killed", f"Stopped on request{f' of {caller}' if caller else ''}{suffix}", end
