"""Runs that wait for a pod to start, or to be heard of: since when, why, and for how long at most; pure functions.

A Job that is suspended waits for a slot, which has no bound. From the moment in which it may have a pod, or in
which a later attempt has its own, the pod has to start within the bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.runs.causes import SILENT, Cause
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.pods import own_pods, read_pod
from ingestion_operator.runs.stopping import DEADLINE_SECONDS, has_finished
from ingestion_operator.runs.texts import cut

LOOK_AFTER: Final = timedelta(seconds=10)
"""How long a pod may take to start before its Events are looked at for a cause."""

_FIRST_BACK_OFF: Final = timedelta(seconds=10)
_LAST_BACK_OFF: Final = timedelta(minutes=10)
"""The Job controller's pauses between attempts: doubled each time, up to a limit."""

_NOT_EXPLAINED: Final = (*SILENT, "Retrying")

_WORDS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}

Job = dict[str, Any]
Pod = dict[str, Any]


@dataclass(frozen=True)
class Waiting:
    """A run that waits for a pod to start."""

    run_id: str
    job: Job
    subject: str
    """What waits, to begin a sentence with."""
    events_of: str
    """The uid of the object whose Events tell the cause; empty where the record has it already."""
    look_at: datetime
    """When those Events are worth a look."""
    deadline: datetime


def with_waiting_since(
    runs: Sequence[Run], known: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], now: datetime
) -> list[Run]:
    """Return the runs, each with the moment since which nothing but the start of a pod is missing."""
    before, by_name = {run.id: run for run in known}, {job["metadata"]["name"]: job for job in jobs}
    return [
        run.model_copy(update={"waiting_since": _since(run, by_name.get(run.job), pods, before.get(run.id), now)})
        for run in runs
    ]


def waiting(runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta) -> list[Waiting]:
    """Return what waits, from runs as `with_waiting_since` returned them; without what is being ended already."""
    by_name = {job["metadata"]["name"]: job for job in jobs}
    return [
        _waiting(run, by_name[run.job], own_pods(pods, by_name[run.job]), run.waiting_since, limit)
        for run in runs
        if run.waiting_since is not None and not _is_ending(by_name[run.job])
    ]


def lost(
    runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta
) -> list[tuple[Run, Job, datetime]]:
    """Return the runs whose node is not heard of, each with its Job and when that has lasted too long."""
    by_name = {job["metadata"]["name"]: job for job in jobs}
    found = []
    for run in runs:
        job = by_name.get(run.job)
        if job is None or (run.state, run.reason) != ("running", NODE_LOST) or _is_ending(job):
            continue
        since = read_pod(own_pods(pods, job)[-1]).lost_since
        if since is not None:
            found.append((run, job, since + limit))
    return found


def explained(run: Run, wait: Waiting, cause: Cause) -> Run:
    """Return the record with the cause that was found."""
    message = cut(f"{wait.subject} waits: {cause.text}", constants.MESSAGE_LIMIT_BYTES)
    return run.model_copy(update={"reason": cause.reason, "message": message})


def with_known_causes(runs: Sequence[Run], known: Sequence[Run]) -> list[Run]:
    """Return the runs, those that wait with the cause in the written status where Job and pods tell none."""
    found = {
        run.id: {"reason": run.reason, "message": run.message}
        for run in known
        if run.waiting_since is not None or run.state == "queued"
    }
    return [run.model_copy(update=found.get(run.id, {})) if run.reason in _NOT_EXPLAINED else run for run in runs]


def give_up_patch(job: Job, run: Run, limit: str) -> dict[str, Any]:
    """Return the merge patch that ends a Job whose pod has not started within `limit`, a duration such as 10m."""
    return _end_patch(job, f"{run.reason}: No pod of the run started within {_in_words(limit)}. {run.message}")


def lost_patch(job: Job, run: Run, limit: str) -> dict[str, Any]:
    """Return the merge patch that ends a Job whose pod's node has not been heard of for `limit`.

    The pod stays until its node is heard of again, and ends then if it has not before.
    """
    return _end_patch(job, f"{run.reason}: Nothing was heard for {_in_words(limit)}. {run.message}")


def _in_words(limit: str) -> str:
    number, unit = int(limit[:-1]), _WORDS[limit[-1]]
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _end_patch(job: Job, mark: str) -> dict[str, Any]:
    """The mark keeps the cause, which is gone with the pod."""
    return {
        "metadata": {
            "resourceVersion": job["metadata"]["resourceVersion"],
            "annotations": {constants.ANNOTATION_GAVE_UP: mark},
        },
        "spec": {"activeDeadlineSeconds": DEADLINE_SECONDS},
    }


def _since(run: Run, job: Job | None, pods: Sequence[Pod], before: Run | None, now: datetime) -> datetime | None:
    if job is None or run.state in FINISHED_STATES:
        return None
    if job["spec"].get("suspend") or job["metadata"].get("deletionTimestamp"):
        return None
    otherwise = (before.waiting_since if before else None) or now
    may_begin = parse_timestamp(job.get("status", {}).get("startTime"))
    own = own_pods(pods, job)
    if not own:
        # Without a startTime the Job controller has not seen the Job: it would not end it either.
        return otherwise if run.attempts else may_begin
    last = read_pod(own[-1])
    if last.is_running:
        return None
    if last.is_finished:
        # A Job that was resumed after that may have its next pod since then.
        return max((moment for moment in (last.attempt.end_time, may_begin) if moment), default=otherwise)
    created = parse_timestamp(own[-1]["metadata"]["creationTimestamp"])
    is_first = not any(attempt.start_time for attempt in run.attempts)
    return (may_begin if is_first else None) or created or otherwise


def _waiting(run: Run, job: Job, own: Sequence[Pod], since: datetime, limit: timedelta) -> Waiting:
    last = read_pod(own[-1]) if own else None
    if last is None or last.is_finished:
        subject, events_of = f"Job {run.job}, which has no pod,", job["metadata"]["uid"]
        since += _back_off(job) if run.attempts else timedelta()
    else:
        subject = f"Pod {last.attempt.pod}"
        events_of = own[-1]["metadata"]["uid"] if last.waiting_reason in SILENT else ""
    return Waiting(run.id, job, subject, events_of, since + LOOK_AFTER, since + limit)


def _back_off(job: Job) -> timedelta:
    failures: int = job.get("status", {}).get("failed", 0)
    factor: int = 2 ** min(10, max(0, failures - 1))
    return min(_LAST_BACK_OFF, _FIRST_BACK_OFF * factor)


def _is_ending(job: Job) -> bool:
    marks = job["metadata"].get("annotations", {}).keys() & {constants.ANNOTATION_STOP, constants.ANNOTATION_GAVE_UP}
    return bool(marks) or has_finished(job)
