"""Runs that wait for a pod to start, or whose node does not report: since when, why, and for how long at most; pure.

A Job that is suspended waits for a slot, which has no bound. From the moment in which it may have a pod, or in
which a later attempt has its own, the pod has to start within the bound. The pause that the Job controller makes
between two attempts does not count.
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
"""How long a pod may take to start before its Events are read for a cause."""

_FIRST_BACK_OFF: Final = timedelta(seconds=10)
_LAST_BACK_OFF: Final = timedelta(minutes=10)
"""The Job controller's pauses between attempts: doubled each time, up to a limit."""

_NOT_EXPLAINED: Final = (*SILENT, "Retrying")

_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for a pod to start, or will once the pause between two attempts is over."""

    run_id: str
    job: Job
    subject: str
    """What waits, to begin a sentence with."""
    events_of: str
    """The uid of the object whose Events have the cause; empty where the record has it already."""
    explain_at: datetime
    """When those Events are worth reading."""
    deadline: datetime


def with_waiting_since(
    runs: Sequence[Run], known: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], now: datetime
) -> list[Run]:
    """Return the runs, each with the moment since which nothing but the start of a pod is missing."""
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


def waiting(runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta) -> list[Waiting]:
    """Return what waits, from runs as `with_waiting_since` returned them; without what is being ended already.

    A run in the pause between two attempts is among them, with the deadline that follows from the pause's end.
    """
    found = []
    for run, job in _with_jobs(runs, jobs):
        own = own_pods(pods, job)
        since = run.waiting_since or _back_off_end(run, job, own)
        if since is not None and run.state not in FINISHED_STATES and not job.is_suspended:
            found.append(_waiting(run, job, own, since, limit))
    return found


def expired(
    waits: Sequence[Waiting], runs: Sequence[Run], limit_text: str, now: datetime
) -> tuple[list[PatchJob], datetime | None]:
    """Return what ends the Jobs that have waited too long, and when to decide again though nothing happens.

    `runs` have the causes; `limit_text` is the bound, a duration such as 10m.
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


def lost(
    runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit: timedelta
) -> list[tuple[Run, Job, datetime]]:
    """Return the runs whose node does not report, each with its Job and when that has lasted too long."""
    found = []
    for run, job in _with_jobs(runs, jobs):
        own = own_pods(pods, job)
        since = own[-1].lost_since if own else None
        if (run.state, run.reason) == ("running", NODE_LOST) and since is not None:
            found.append((run, job, since + limit))
    return found


def lost_too_long(
    runs: Sequence[Run], jobs: Sequence[Job], pods: Sequence[Pod], limit_text: str, now: datetime
) -> tuple[list[PatchJob], datetime | None]:
    """Return what ends the Jobs whose node has not reported for `limit_text`, and when to decide again.

    The pod stays until its node reports again, and ends then if it has not before.
    """
    patches, moments = [], []
    for run, job, deadline in lost(runs, jobs, pods, timedelta(seconds=duration_seconds(limit_text))):
        if deadline <= now:
            message = f"The node did not report for {_in_words(limit_text)}. {run.message}"
            patches.append(fail(job, run.reason, message))
        else:
            moments.append(deadline)
    return patches, min(moments, default=None)


def explained(run: Run, wait: Waiting, cause: Cause) -> Run:
    """Return the record with the cause that was found."""
    message = cut(f"{wait.subject} waits: {cause.text}", constants.MESSAGE_LIMIT_BYTES)
    return run.model_copy(update={"reason": cause.reason, "message": message})


def with_known_causes(runs: Sequence[Run], known: Sequence[Run]) -> list[Run]:
    """Return the runs, those that wait with the cause in the written status where Job and pods have none."""
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
    """Return the runs whose Job exists and is not being ended, each with it."""
    by_name = {job.name: job for job in jobs if not is_ending(job)}
    return [(run, by_name[run.job]) for run in runs if run.job in by_name]


def _since(run: Run, job: Job, own: Sequence[Pod], otherwise: datetime) -> datetime | None:
    """Return since when only a pod's start is missing, a moment to come during a pause; None where that is not so."""
    if run.state in FINISHED_STATES or job.is_suspended or job.is_deleting:
        return None
    if not own and not run.attempts:
        # Without a startTime the Job controller has not seen the Job: it would not end it either.
        return job.start_time
    if not own or own[-1].is_finished:
        return _back_off_end(run, job, own) or otherwise
    last = own[-1]
    if last.is_running:
        return None
    has_begun = any(attempt.start_time for attempt in run.attempts)
    # A Job that was resumed has a later start: no pod of it waits for longer.
    return max(last.created, job.start_time or last.created) if has_begun else job.start_time or last.created


def _back_off_end(run: Run, job: Job, own: Sequence[Pod]) -> datetime | None:
    """Return when the Job controller makes the next pod; None if the last one has not ended, or its end is unknown."""
    ended = own[-1].attempt if own else run.attempts[-1] if run.attempts else None
    if ended is None or ended.end_time is None or (own and not own[-1].is_finished):
        return None
    # The controller's back-off also counts failures that its status leaves out: disrupted pods, which may be gone.
    failures = max(job.failed, sum(pod.is_finished for pod in own), len(run.attempts), run.disruptions or 0)
    factor: int = 2 ** min(10, max(0, failures - 1))
    pause = min(_LAST_BACK_OFF, _FIRST_BACK_OFF * factor)
    # A Job that was resumed after that may have its next pod since then.
    return max(ended.end_time + pause, job.start_time or ended.end_time)


def _waiting(run: Run, job: Job, own: Sequence[Pod], since: datetime, limit: timedelta) -> Waiting:
    last = own[-1] if own else None
    if last is None or last.is_finished:
        subject, events_of = f"Job {run.job}, which has no pod,", job.uid
    else:
        subject = f"Pod {last.name}"
        events_of = last.uid if last.waiting_reason in SILENT else ""
    return Waiting(run.id, job, subject, events_of, since + EXPLAIN_AFTER, since + limit)
