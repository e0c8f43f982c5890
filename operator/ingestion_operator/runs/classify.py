"""One record per run: what a Job and its Pods amount to.

Order of precedence, strongest first:

0. Somebody asked for the Job's end (kill): a failure after that is no failure, the run is stopped.
   A Job that was given up since no pod of it started has failed with the cause in its mark.
1. The Job is finished (condition Complete or Failed): the run is. The runner's own outcome tells success from
   partialSuccess and gives the reason of a failure, unless Kubernetes ended the pod (memory, eviction, deadline).
   A workflow that had told its success before its pod was ended has succeeded. So while a container that has been
   asked to end still runs, the run does too; not on a node that is lost, whose pod may never be heard of again.
2. The Job is suspended because its run ran out of memory: running, and the next attempt gets more.
3. The Job is suspended for another reason: queued.
4. The last attempt is finished, and no other may follow: the run is finished, before the Job says so. That is so
   a) after an exit code that no repetition mends;
   b) when the Job has no attempt left;
   c) out of memory with no larger size left, or with more other failures than retry.limit: the Job would go on,
      since its backoffLimit counts both kinds together, and the operator ends it (`runs.repetition`).
5. The last attempt is finished, and another follows: running; out of memory, the next one gets more.
6. A container runs: running, also when only an absent operator has let it come to that; NodeLost where its node is
   not heard of.
7. Otherwise the run waits, with what it waits for: queued, or running where an attempt has run before.

A run that was given up since its node was not heard of is what its own container says after all, once it says so.

An attempt that was taken back because more memory was on its way counts nowhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES, Report, Run, RunState, RunSummary, Trigger
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.runs.causes import SILENT, cause_in_pod
from ingestion_operator.runs.memory import (
    OUT_OF_MEMORY,
    SUPERSEDED,
    has_grown,
    is_between_sizes,
    is_superseded,
    next_attempt_gets_more,
    next_size,
    retries_left,
    sizes_of,
    what_to_raise,
)
from ingestion_operator.runs.pods import PodAttempt, creation, read_pod
from ingestion_operator.runs.texts import cut

_NOT_REPEATED = (constants.EXIT_CONFIGURATION, constants.EXIT_OUTSIDE_SCHEDULE)
NODE_LOST = "NodeLost"
_KUBERNETES_REASONS = (OUT_OF_MEMORY, "Evicted", "DeadlineExceeded", NODE_LOST, "Preempting")
_QUEUED = "Queued"
_RETRYING = "Retrying"


def classify(job: dict[str, Any], pods: list[dict[str, Any]]) -> Run:
    """Return the record of the run that `job` is; `pods` are its own, in any order."""
    attempts = _superseded(job, [read_pod(pod) for pod in sorted(pods, key=creation)])
    created = _time(job["metadata"]["creationTimestamp"])
    state, reason, message, end = _state(job, attempts)
    outcome = next((a.outcome for a in reversed(attempts) if a.outcome), None)
    summary = None
    if outcome is not None and outcome.records is not None:
        summary = RunSummary(records=outcome.records, warnings=outcome.warnings or 0, errors=outcome.errors or 0)
    run = Run(
        id=run_id(job),
        job=job["metadata"]["name"],
        trigger=trigger(job),
        state=state,
        reason=reason,
        message=cut(message, constants.MESSAGE_LIMIT_BYTES),
        start_time=created,
        end_time=end,
        attempts=[a.attempt for a in attempts][-constants.ATTEMPTS_LIMIT :],
        summary=summary,
        report=_report(job, attempts, state),
    )
    return under_way(run)


def under_way(run: Run) -> Run:
    """Return a run that waits for its next pod as running, once an attempt has run: it has left the queue."""
    if run.state != "queued" or run.reason == _QUEUED or not any(attempt.start_time for attempt in run.attempts):
        return run
    return run.model_copy(update={"state": "running", "reason": _RETRYING if run.reason in SILENT else run.reason})


def run_id(job: dict[str, Any]) -> str:
    """Return the id that all attempts of the run share: the caller's, else the Job's UID."""
    annotations = job["spec"]["template"].get("metadata", {}).get("annotations", {})
    return str(annotations.get(constants.ANNOTATION_RUN_ID) or job["metadata"]["uid"])[: constants.RUN_ID_LIMIT]


def trigger(job: dict[str, Any]) -> Trigger:
    """Tell who started the run."""
    metadata = job["metadata"]
    if constants.ANNOTATION_SCHEDULED_AT in metadata.get("annotations", {}):
        return "scheduled"
    return "manual"


def _superseded(job: dict[str, Any], attempts: Sequence[PodAttempt]) -> list[PodAttempt]:
    """Mark the attempts that were taken back."""
    told = [one.attempt for one in attempts]
    return [
        replace(one, attempt=one.attempt.model_copy(update={"reason": SUPERSEDED}))
        if is_superseded(job, told, index)
        else one
        for index, one in enumerate(attempts)
    ]


def _state(job: dict[str, Any], attempts: list[PodAttempt]) -> tuple[RunState, str, str, datetime | None]:
    last = next((one for one in reversed(attempts) if one.attempt.reason != SUPERSEDED), None)
    if complete := _condition(job, "Complete", "SuccessCriteriaMet"):
        return _succeeded(last, _time(complete["lastTransitionTime"]))
    if failed := _condition(job, "Failed", "FailureTarget"):
        return _job_failed(job, last, failed)
    if job["spec"].get("suspend"):
        return _suspended(job, attempts, last)
    if last is None:
        return "queued", "Pending", "Waits for its pod", None
    if last.is_finished:
        return _attempt_ended(job, attempts, last)
    if last.is_running and not last.is_reachable:
        text = f"Node {last.attempt.node} is not heard of, and so neither is pod {last.attempt.pod}, which ran there"
        return "running", NODE_LOST, text, None
    if last.is_running:
        return "running", "Running", f"Attempt {len(attempts)} runs in pod {last.attempt.pod}", None
    cause = cause_in_pod(last.waiting_reason, last.waiting_message)
    return "queued", cause.reason, f"Pod {last.attempt.pod} waits: {cause.text}", None


def _job_failed(
    job: dict[str, Any], last: PodAttempt | None, failed: dict[str, Any]
) -> tuple[RunState, str, str, datetime | None]:
    end, job_reason = _time(failed["lastTransitionTime"]), failed.get("reason", "Failed")
    if last is not None and last.has_succeeded:
        return _succeeded(last, end)
    if last is not None and last.is_ending and not _condition(job, "Failed"):
        return "running", "Stopping", f"Pod {last.attempt.pod} has been asked to end: {job_reason}", None
    if job_reason == "DeadlineExceeded" and (mark := _gave_up(job)) is not None:
        if last is not None and mark[0] == NODE_LOST and last.has_ended_by_itself:
            return _failed(job, last, job_reason, "", end)
        return "failed", *mark, end
    if _was_stopped(job, last, job_reason):
        return _stopped(job, last, end)
    return _failed(job, last, job_reason, failed.get("message", ""), end)


def _suspended(
    job: dict[str, Any], attempts: Sequence[PodAttempt], last: PodAttempt | None
) -> tuple[RunState, str, str, datetime | None]:
    is_growing, stop = is_between_sizes(job), stop_time(job)
    if stop is not None:
        return _stopped(job, last if is_growing else None, stop)
    if is_growing:
        return "running", OUT_OF_MEMORY, next_attempt_gets_more(job, [one.attempt for one in attempts]), None
    return "queued", _QUEUED, "Waits for a free slot", None


def _attempt_ended(
    job: dict[str, Any], attempts: list[PodAttempt], last: PodAttempt
) -> tuple[RunState, str, str, datetime | None]:
    """Decide from the pod where no retry is left; the Job's own verdict follows a second or more later."""
    end = last.attempt.end_time
    if end is not None and last.attempt.exit_code == 0:
        return _succeeded(last, end)
    if end is not None and _was_stopped(job, last, None):
        return _stopped(job, last, end)
    is_repeated = last.attempt.exit_code not in _NOT_REPEATED and _has_another_attempt(job, attempts, last)
    if end is not None and not is_repeated:
        return _failed(job, last, "Failed", "", end)
    if sizes_of(job) and last.attempt.reason == OUT_OF_MEMORY:
        return "running", OUT_OF_MEMORY, next_attempt_gets_more(job, [one.attempt for one in attempts]), None
    return "running", _RETRYING, f"Attempt {len(attempts)} ended ({last.attempt.reason}); another follows", None


def _has_another_attempt(job: dict[str, Any], attempts: Sequence[PodAttempt], last: PodAttempt) -> bool:
    if last.is_disrupted:
        return True
    failures = sum(
        a.is_finished and not a.is_disrupted and a.attempt.exit_code != 0 and a.attempt.reason != SUPERSEDED
        for a in attempts
    )
    if failures > job["spec"].get("backoffLimit", 6):
        return False
    if not sizes_of(job):
        return True
    if last.attempt.reason == OUT_OF_MEMORY:
        return next_size(job, last.attempt.memory) is not None
    return retries_left(job, [one.attempt for one in attempts], failures) >= 0


def _succeeded(last: PodAttempt | None, job_end: datetime) -> tuple[RunState, str, str, datetime | None]:
    outcome = last.outcome if last else None
    end = (last.attempt.end_time if last else None) or job_end
    if outcome is not None and outcome.state in ("success", "partialSuccess"):
        return outcome.state, outcome.reason, outcome.message, end
    return "success", "Succeeded", "The workflow ended with exit code 0", end


def _failed(
    job: dict[str, Any], last: PodAttempt | None, job_reason: str, job_message: str, job_end: datetime
) -> tuple[RunState, str, str, datetime | None]:
    if last is None:
        return "failed", job_reason[:64], job_message, job_end
    end = last.attempt.end_time or job_end
    reason = last.attempt.reason or job_reason
    if reason in _KUBERNETES_REASONS or last.outcome is None:
        exit_code = "" if last.attempt.exit_code is None else f", exit code {last.attempt.exit_code}"
        remark = what_to_raise(job, last.attempt) if reason == OUT_OF_MEMORY else job_message
        return "failed", reason[:64], f"Pod {last.attempt.pod}: {reason}{exit_code}. {remark}".strip(), end
    state: RunState = "stopped" if last.outcome.state == "stopped" else "failed"
    return state, last.outcome.reason, last.outcome.message, end


def _report(job: dict[str, Any], attempts: list[PodAttempt], state: RunState) -> Report | None:
    """Tell whether OpenMetadata has the end of the run already, by the word of the last attempt."""
    if state not in FINISHED_STATES:
        return None
    told = attempts[-1].outcome if attempts else None
    counts = job.get("status", {})
    is_last = len(attempts) >= counts.get("failed", 0) + counts.get("succeeded", 0)  # no later pod is gone unseen
    return "Done" if told is not None and told.is_told and told.state == state and is_last else "Pending"


def stop_time(job: dict[str, Any]) -> datetime | None:
    """Return when somebody asked for the end of the run, None if nobody did."""
    text = job["metadata"].get("annotations", {}).get(constants.ANNOTATION_STOP)
    try:
        stop = parse_timestamp(text)
    except ValueError:
        stop = None
    if text and (stop is None or stop.tzinfo is None):
        return _time(job["metadata"]["creationTimestamp"])  # somebody's own word for it: the wish counts
    return stop


def _gave_up(job: dict[str, Any]) -> tuple[str, str] | None:
    """Return reason and message of a run that was ended because no pod of it started in time."""
    mark = job["metadata"].get("annotations", {}).get(constants.ANNOTATION_GAVE_UP)
    if mark is None:
        return None
    reason, _, message = mark.partition(": ")
    return reason[:64], message


def _was_stopped(job: dict[str, Any], last: PodAttempt | None, job_reason: str | None) -> bool:
    """Tell whether a run failed because it was asked to end; one that had failed before that has failed."""
    stop = stop_time(job)
    if stop is None:
        return False
    end = last.attempt.end_time if last else None
    if constants.ANNOTATION_MEMORY_STEP in job["metadata"].get("annotations", {}):
        return True  # it was suspended for more memory when that was asked
    # The Job has no deadline but the one that ends it.
    return job_reason == "DeadlineExceeded" or (end is not None and end >= stop)


def _stopped(
    job: dict[str, Any], last: PodAttempt | None, job_end: datetime
) -> tuple[RunState, str, str, datetime | None]:
    end = (last.attempt.end_time if last else None) or job_end
    annotations = job["metadata"].get("annotations", {})
    if constants.ANNOTATION_HOLD in annotations:
        return "stopped", "Abandoned", "The run's own configuration was never written: start it again", end
    started = (last is not None and last.attempt.start_time is not None) or has_grown(job)
    caller = annotations.get(constants.ANNOTATION_STOPPED_BY)
    words = ("Stopped on request", f"of {caller}" if caller else "", "" if started else "before it began")
    return "stopped", "Killed", " ".join(filter(None, words)), end


def _condition(job: dict[str, Any], *kinds: str) -> dict[str, Any]:
    conditions = job.get("status", {}).get("conditions", [])
    for kind in kinds:
        for condition in conditions:
            if condition.get("type") == kind and condition.get("status") == "True":
                return dict(condition)
    return {}


def _time(text: str) -> datetime:
    moment = parse_timestamp(text)
    if moment is None:
        raise ValueError("a timestamp that Kubernetes always sets is missing")
    return moment
