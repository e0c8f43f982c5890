"""The list of runs, merged from earlier records and the current Jobs and pods."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.runs.classify import NODE_LOST, REPLACED, as_running_after_start, classify
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pods import Pod, own_pods
from ingestion_operator.runs.transitions import first_container_start


def owned(jobs: Iterable[Job], pipeline_uid: str, cronjob_uid: str | None) -> list[Job]:
    """Return the Jobs whose controller is the pipeline or its CronJob; the label alone is not sufficient."""
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
    """Return all runs of a pipeline, newest first.

    The record of a finished run does not change: it never runs again, and it outlives its Job. There are two
    exceptions: while the run is not reported, an attempt that was still terminating gets its end; and a run that was
    terminated as NodeLost is corrected by its own outcome. A run that continued in a replacement Job has the state of
    its newest Job.

    Args:
        jobs: The Jobs of the pipeline.
        pods: Their pods.
        known: The runs recorded before.
        now: The current time.
        gone: Names of Jobs whose absence a live GET has confirmed. An unfinished run whose Job is missing keeps its
            record until then, and has failed afterwards.
        replaces: Whether concurrency.policy is Replace. Then a run whose Job is gone was stopped if a newer run exists,
            since the CronJob controller deletes the Job that it replaces.
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
        if was is None or not _is_final(was, run):
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
    """Return the names of the missing Jobs of unfinished runs. The caller must confirm their absence."""
    represented = {job.run_id for job in jobs}
    return [run.job for run in known if not is_finished(run) and run.id not in represented]


def recorded(runs: Sequence[Run]) -> list[Run]:
    """Return the runs for the status, which has room for STATUS_RUNS_LIMIT, newest first.

    They are chosen in the order running, unreported (by their end, oldest first), queued (oldest first), finished (by
    their end, newest first). One place is reserved for the newest finished and reported run, whose end identifies the
    runs that have left the list; and one for an unreported run, so that reports continue while many others run.

    Only recorded runs may be reported: the status could not record the report of another one.
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
    """Return the runs that do not fit into a full status, each as it was when that status was written.

    For a process that has just started: the previous process has announced earlier starts and ends.

    Args:
        runs: All current runs.
        known: The runs in the status. If it has room for more, every other run is new.
        written_at: When the status was written. If unknown, every other run is new.
    """
    if written_at is None or len(known) < STATUS_RUNS_LIMIT:
        return []
    listed = {run.id for run in known}
    others = [run for run in runs if run.id not in listed and run.start_time < written_at]
    return [_as_it_was(run, written_at) for run in others]


def is_finished(run: Run) -> bool:
    """Return whether the run has ended."""
    return run.state in FINISHED_STATES


def _as_it_was(run: Run, moment: datetime) -> Run:
    started = first_container_start(run)
    if run.state == "running" and started is not None and started >= moment:
        return run.model_copy(update={"state": "queued"})
    if is_finished(run) and run.end_time is not None and run.end_time >= moment:
        has_started = started is not None and started < moment
        return run.model_copy(
            update={"state": "running" if has_started else "queued", "end_time": None, "report": None}
        )
    return run


def _age(run: Run) -> tuple[datetime, str]:
    return run.start_time, run.id


def _ended(run: Run) -> tuple[datetime, str]:
    return run.end_time or run.start_time, run.id


def _is_final(known: Run, seen: Run) -> bool:
    """Return whether the record of a finished run stays unchanged, independent of its Job."""
    may_be_corrected = known.reason == NODE_LOST and is_finished(seen) and seen.reason != NODE_LOST
    return is_finished(known) and not may_be_corrected


def _oldest_reported_end(known: Sequence[Run]) -> tuple[datetime, str] | None:
    """Return the end up to which runs have left a full list; None if none can have left it."""
    if len(known) < STATUS_RUNS_LIMIT:
        return None
    return min((_ended(run) for run in known if is_finished(run) and not run.is_unreported), default=None)


def _was_pushed_out(run: Run, job: Job, oldest_end: tuple[datetime, str] | None) -> bool:
    """Return whether an unknown run was reported and left a full list, although its Job still exists.

    As a new run it would displace others, which would then reappear, and all would be reported repeatedly. A Job that
    was stopped in the queue is deleted once it is reported: an existing one is new, independent of the clock of the
    client that stopped it.
    """
    return is_finished(run) and not job.is_suspended and oldest_end is not None and _ended(run) < oldest_end


def _merged(run: Run, own: Sequence[Pod], known: Run | None) -> Run:
    """Merge a run with its record: attempts of deleted pods, counted disruptions, the start of a replaced Job."""
    if known is None:
        return run
    seen = {attempt.pod: attempt for attempt in run.attempts}
    attempts = [seen.pop(attempt.pod, attempt) for attempt in known.attempts]  # in the order of their start
    attempts = [*attempts, *seen.values()][-ATTEMPTS_LIMIT:]
    # An attempt has a reason as soon as its disruption is visible.
    counted = {attempt.pod for attempt in known.attempts if attempt.reason is not None}
    new = sum(pod.is_disrupted_by_others and pod.name not in counted for pod in own)
    changes = {
        "attempts": attempts,
        "start_time": min(known.start_time, run.start_time),
        "disruptions": (known.disruptions or 0) + new or None,
    }
    return as_running_after_start(run.model_copy(update=changes))


def _with_ends(run: Run, pods: Sequence[Pod]) -> Run:
    """Return the run with the ends of attempts that were still running when the run ended, as after a kill."""
    if not run.is_unreported or all(attempt.end_time for attempt in run.attempts):
        return run
    ended = {pod.name: pod.attempt for pod in pods if pod.is_finished}
    attempts = [attempt if attempt.end_time else ended.get(attempt.pod, attempt) for attempt in run.attempts]
    return run if attempts == run.attempts else run.model_copy(update={"attempts": attempts})


def _without_job(run: Run, newer: Run | None, now: datetime) -> Run:
    """Return the ended record of a run whose Job was deleted before its end."""
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
