"""The list of runs: what was recorded before and what is there now, combined."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.runs.classify import NODE_LOST, REPLACED, classify, under_way
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pods import Pod, own_pods


def owned(jobs: Iterable[Job], pipeline_uid: str, cronjob_uid: str | None) -> list[Job]:
    """Return the Jobs whose controller is the pipeline or its CronJob; a label alone does not make one a run."""
    owners = {pipeline_uid, cronjob_uid}
    return [job for job in jobs if job.owner is not None and job.owner.uid in owners]


def runs_of(
    jobs: Sequence[Job],
    pods: Sequence[Pod],
    known: Sequence[Run],
    now: datetime,
    *,
    gone: Collection[str],
    replaces: bool = False,
) -> list[Run]:
    """Return all runs of a pipeline, newest first; `known` are those in its status.

    A finished run stays as it was recorded: it never runs again, and it outlives its Job. Only an attempt that
    was still ending then gets its end, as long as the run is not reported; and one that was ended since its node
    did not report is corrected by its own outcome. A run that continued in another Job is what its newest Job is.

    A run whose Job is missing stays as it was recorded, until the Job's name is in `gone`: the caller has confirmed by
    a live GET that it does not exist. The run has then failed; with `replaces` (concurrency.policy Replace) it is
    stopped where a newer run exists, since the CronJob controller deletes the Job that it replaces.
    """
    current = {run.id: run for run in known}
    before, deleting = dict(current), set[str]()
    oldest_end = _oldest_reported_end(known)
    for job in sorted(jobs, key=lambda job: job.age):
        own = own_pods(pods, job)
        run = _merged(classify(job, own), own, current.get(job.run_id))
        was = before.get(run.id)
        if was is None and _was_pushed_out(run, job, oldest_end):
            continue
        if was is None or not _stands(was, run):
            current[run.id] = run
        if job.is_deleting and not any(pod.is_ending for pod in own):
            deleting.add(run.id)
    represented = {job.run_id for job in jobs}
    deleted = {run.id for run in known if run.id not in represented and run.job in gone}
    result: list[Run] = []
    for run in sorted((_with_ends(run, pods) for run in current.values()), key=_age, reverse=True):
        newer = result[-1] if replaces and result else None
        has_lost_job = run.id in deleted or (newer is not None and run.id in deleting)
        result.append(_without_job(run, newer, now) if has_lost_job and not is_finished(run) else run)
    return result


def missing_jobs(jobs: Iterable[Job], known: Iterable[Run]) -> list[str]:
    """Return the names of the Jobs of unfinished runs that are not there: whether they exist has to be confirmed."""
    represented = {job.run_id for job in jobs}
    return [run.job for run in known if not is_finished(run) and run.id not in represented]


def recorded(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that the status has room for, newest first.

    They are chosen in the order running, unreported (by their end, the oldest first), queued (oldest first), finished
    (by their end, the newest first). One place is kept for the newest finished and reported run, since by its end those
    that left the list are recognised; and one for an unreported run, so that reports go on while many others run.

    Only recorded runs may be reported: of another one the report could not be remembered.
    """
    by_age, by_end = sorted(runs, key=_age), sorted(filter(is_finished, runs), key=_ended)
    running = [run for run in by_age if run.state == "running"]
    queued = [run for run in by_age if run.state == "queued"]
    unreported = [run for run in by_end if run.is_unreported]
    reported = [run for run in reversed(by_end) if not run.is_unreported]
    room = STATUS_RUNS_LIMIT - bool(reported)
    kept = [*running[: room - bool(unreported)], *unreported, *queued][:room]
    kept += reported[: STATUS_RUNS_LIMIT - len(kept)]
    return sorted(kept, key=_age, reverse=True)


def announced_before(runs: Sequence[Run], known: Sequence[Run], written_at: datetime | None) -> list[Run]:
    """Return the runs that a full status has no room for, each as it was when that status was written.

    For a process that has just started: what began or ended before was announced by the one before it. `known` are the
    runs in the status; where it had room for more, or where it is unknown when it was written, every other run is new.
    """
    if written_at is None or len(known) < STATUS_RUNS_LIMIT:
        return []
    listed = {run.id for run in known}
    others = [run for run in runs if run.id not in listed and run.start_time < written_at]
    return [_as_it_was(run, written_at) for run in others]


def is_finished(run: Run) -> bool:
    """Return whether the run has come to its end."""
    return run.state in FINISHED_STATES


def _as_it_was(run: Run, moment: datetime) -> Run:
    began = min((attempt.start_time for attempt in run.attempts if attempt.start_time), default=None)
    if run.state == "running" and began is not None and began >= moment:
        return run.model_copy(update={"state": "queued"})
    if is_finished(run) and run.end_time is not None and run.end_time >= moment:
        has_begun = began is not None and began < moment
        return run.model_copy(update={"state": "running" if has_begun else "queued", "end_time": None, "report": None})
    return run


def _age(run: Run) -> tuple[datetime, str]:
    return run.start_time, run.id


def _ended(run: Run) -> tuple[datetime, str]:
    return run.end_time or run.start_time, run.id


def _stands(known: Run, seen: Run) -> bool:
    """Return whether the record of a finished run stays as it is, whatever the state of its Job now."""
    may_be_corrected = known.reason == NODE_LOST and is_finished(seen) and seen.reason != NODE_LOST
    return is_finished(known) and not may_be_corrected


def _oldest_reported_end(known: Sequence[Run]) -> tuple[datetime, str] | None:
    """Return by which end a run left a full list; None where none can have left it."""
    if len(known) < STATUS_RUNS_LIMIT:
        return None
    return min((_ended(run) for run in known if is_finished(run) and not run.is_unreported), default=None)


def _was_pushed_out(run: Run, job: Job, oldest_end: tuple[datetime, str] | None) -> bool:
    """Return whether an unknown run was reported and left a full list, though its Job is still there.

    Taken for a new one it would push out others, come back as they do, and be reported again and again. A Job that was
    stopped while it waited is deleted once it is reported: one that is there is new, whatever the clock of the client
    that stopped it.
    """
    return is_finished(run) and not job.is_suspended and oldest_end is not None and _ended(run) < oldest_end


def _merged(run: Run, own: Sequence[Pod], known: Run | None) -> Run:
    """Keep attempts whose pods are gone, disruptions that were counted, and the start of a continued run."""
    if known is None:
        return run
    seen = {attempt.pod: attempt for attempt in run.attempts}
    attempts = [seen.pop(attempt.pod, attempt) for attempt in known.attempts]  # in the order in which they came
    attempts = [*attempts, *seen.values()][-ATTEMPTS_LIMIT:]
    # An attempt has a reason from the moment on in which its disruption shows.
    counted = {attempt.pod for attempt in known.attempts if attempt.reason is not None}
    came = sum(pod.is_disrupted_by_others and pod.name not in counted for pod in own)
    changes = {
        "attempts": attempts,
        "start_time": min(known.start_time, run.start_time),
        "disruptions": (known.disruptions or 0) + came or None,
    }
    return under_way(run.model_copy(update=changes))


def _with_ends(run: Run, pods: Sequence[Pod]) -> Run:
    """Add what became of attempts that had not ended when the run's end was certain, as after a kill."""
    if not run.is_unreported or all(attempt.end_time for attempt in run.attempts):
        return run
    ended = {pod.name: pod.attempt for pod in pods if pod.is_finished}
    attempts = [attempt if attempt.end_time else ended.get(attempt.pod, attempt) for attempt in run.attempts]
    return run if attempts == run.attempts else run.model_copy(update={"attempts": attempts})


def _without_job(run: Run, newer: Run | None, now: datetime) -> Run:
    """Return how a run ended whose Job was deleted before the run had ended."""
    changes = {
        "state": "failed" if newer is None else "stopped",
        "reason": "JobDeleted" if newer is None else REPLACED,
        "message": f"Job {run.job} was deleted before the run ended"
        if newer is None
        else f"Replaced by the newer run {newer.id}, since concurrency.policy is Replace",
        "end_time": now,
        "report": "Pending",
    }
    return run.model_copy(update=changes)
