"""Runs that wait for a pod to start, or whose node does not report: start, cause and timeout; pure functions.

A suspended Job waits for a slot, without a timeout. Once a Job may have a pod, or a later attempt has one, the pod must
start within the timeout. The back-off of the Job controller between two attempts does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pod_start_failures import SILENT, Cause
from ingestion_operator.runs.pods import Pod, own_pods
from ingestion_operator.runs.stopping import fail, is_ending
from ingestion_operator.runs.truncate import cut

EXPLAIN_AFTER: Final = timedelta(seconds=10)
"""How long a pod may take to start before its Events are read for the cause."""

_FIRST_BACK_OFF: Final = timedelta(seconds=10)
_LAST_BACK_OFF: Final = timedelta(minutes=10)
"""The Job controller's back-off between attempts: doubled each time, up to a limit."""

_NOT_EXPLAINED: Final = (*SILENT, "Retrying")

_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for a pod to start, now or after the back-off between two attempts."""

    run_id: str
    job: Job
    subject: str
    """The waiting object, as the subject of a sentence."""
    events_of: str
    """The UID of the object whose Events have the cause; empty if the cause is known."""
    explain_at: datetime
    """When to read those Events."""
    deadline: datetime


def with_waiting_since(
    runs: Sequence[Run], known: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], now: datetime
) -> list[Run]:
    """Return the runs, each with the time since which it waits only for the start of a pod."""
    before, by_name = {run.id: run for run in known}, {job.name: job for job in jobs}
    result = []
    for run in runs:
        if (job := by_name.get(run.job)) is None:
            result.append(run)
            continue
        was = before.get(run.id)
        since = _since(run, job, own_pods(pods, job), (was.waiting_since if was else None) or now)
        moment = since if since is not None and since <= now else None
        result.append(run.model_copy(update={"waiting_since": moment}))
    return result


def waiting_runs(runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta) -> list[Waiting]:
    """Return the waiting runs, from the result of `with_waiting_since`, without those whose Job is ending.

    They include runs in the back-off between two attempts, with a deadline from the end of the back-off.
    """
    found = []
    for run, job in _with_jobs(runs, jobs):
        own = own_pods(pods, job)
        since = run.waiting_since or _back_off_end(run, job, own)
        if since is not None and run.state not in FINISHED_STATES and not job.is_suspended:
            found.append(_waiting(run, job, own, since, limit))
    return found


def terminate_overdue(
    waits: Sequence[Waiting], runs: Sequence[Run], limit_text: str, now: datetime
) -> tuple[list[PatchJob], datetime | None]:
    """Return the terminations of Jobs that have waited too long, and when to decide again without an event.

    `runs` have the causes; `limit_text` is the timeout, a duration such as 10m.
    """
    by_id, patches, moments = {run.id: run for run in runs}, [], []
    for wait in waits:
        run = by_id[wait.run_id]
        if wait.deadline <= now:
            message = f"No pod of the run started within {_in_words(limit_text)}. {run.message}"
            patches.append(fail(wait.job, run.reason, message))
        else:
            is_early = wait.events_of and now < wait.explain_at
            moments.append(min(wait.explain_at, wait.deadline) if is_early else wait.deadline)
    return patches, min(moments, default=None)


def lost_runs(
    runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta
) -> list[tuple[Run, Job, datetime]]:
    """Return the runs whose node does not report, each with its Job and the deadline."""
    found = []
    for run, job in _with_jobs(runs, jobs):
        own = own_pods(pods, job)
        since = own[-1].lost_since if own else None
        if (run.state, run.reason) == ("running", NODE_LOST) and since is not None:
            found.append((run, job, since + limit))
    return found


def terminate_lost(
    runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit_text: str, now: datetime
) -> tuple[list[PatchJob], datetime | None]:
    """Return the terminations of Jobs whose node has not reported for `limit_text`, and when to decide again.

    The pod remains until its node reports again.
    """
    patches, moments = [], []
    for run, job, deadline in lost_runs(runs, jobs, pods, timedelta(seconds=duration_seconds(limit_text))):
        if deadline <= now:
            message = f"The node did not report for {_in_words(limit_text)}. {run.message}"
            patches.append(fail(job, run.reason, message))
        else:
            moments.append(deadline)
    return patches, min(moments, default=None)


def explained(run: Run, wait: Waiting, cause: Cause) -> Run:
    """Return the record with the found cause."""
    message = cut(f"{wait.subject} waits: {cause.text}", constants.MESSAGE_LIMIT_BYTES)
    return run.model_copy(update={"reason": cause.reason, "message": message})


def with_known_causes(runs: Sequence[Run], known: Sequence[Run]) -> list[Run]:
    """Return the runs; waiting ones without a cause in Job or pods keep the cause of the current status."""
    found: Mapping[str, dict[str, str]] = {
        run.id: {"reason": run.reason, "message": run.message}
        for run in known
        if run.waiting_since is not None or run.state == "queued"
    }
    return [run.model_copy(update=found.get(run.id, {})) if run.reason in _NOT_EXPLAINED else run for run in runs]


def _in_words(limit: str) -> str:
    number, unit = int(limit[:-1]), _UNITS[limit[-1]]
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _with_jobs(runs: Sequence[Run], jobs: Sequence[Job]) -> list[tuple[Run, Job]]:
    """Return the runs whose Job exists and is not ending, each with its Job."""
    by_name = {job.name: job for job in jobs if not is_ending(job)}
    return [(run, by_name[run.job]) for run in runs if run.job in by_name]


def _since(run: Run, job: Job, own: Sequence[Pod], otherwise: datetime) -> datetime | None:
    """Return since when a run waits only for a pod, a future time during the back-off; None if it does not."""
    if run.state in FINISHED_STATES or job.is_suspended or job.is_deleting:
        return None
    if not own and not run.attempts:
        # Without a startTime the Job controller has not processed the Job: it would not terminate it either.
        return job.start_time
    if not own or own[-1].is_finished:
        return _back_off_end(run, job, own) or otherwise
    last = own[-1]
    if last.is_running:
        return None
    has_started = any(attempt.start_time for attempt in run.attempts)
    # A resumed Job has a later startTime: its pods wait from then on at the earliest.
    return max(last.created, job.start_time or last.created) if has_started else job.start_time or last.created


def _back_off_end(run: Run, job: Job, own: Sequence[Pod]) -> datetime | None:
    """Return when the Job controller creates the next pod; None if the last one has no known end."""
    ended = own[-1].attempt if own else run.attempts[-1] if run.attempts else None
    if ended is None or ended.end_time is None or (own and not own[-1].is_finished):
        return None
    # The controller's back-off also counts failures that its status leaves out: disrupted pods, which may be gone.
    failures = max(job.failed, sum(pod.is_finished for pod in own), len(run.attempts), run.disruptions or 0)
    factor: int = 2 ** min(10, max(0, failures - 1))
    pause = min(_LAST_BACK_OFF, _FIRST_BACK_OFF * factor)
    # If the Job was resumed later, its next pod may exist from then on.
    return max(ended.end_time + pause, job.start_time or ended.end_time)


def _waiting(run: Run, job: Job, own: Sequence[Pod], since: datetime, limit: timedelta) -> Waiting:
    last = own[-1] if own else None
    if last is None or last.is_finished:
        subject, events_of = f"Job {run.job}, which has no pod,", job.uid
    else:
        subject = f"Pod {last.name}"
        events_of = last.uid if last.waiting_reason in SILENT else ""
    return Waiting(run.id, job, subject, events_of, since + EXPLAIN_AFTER, since + limit)
