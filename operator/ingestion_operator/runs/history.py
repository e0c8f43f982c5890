"""The list of runs: what was known before and what is seen now, made one."""

from datetime import datetime
from typing import Any

from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.runs.classify import NODE_LOST, classify, under_way
from ingestion_operator.runs.pods import creation, own_pods, read_pod


def runs_of(jobs: list[dict[str, Any]], pods: list[dict[str, Any]], known: list[Run], now: datetime) -> list[Run]:
    """Return the runs of a pipeline, newest first, at most 20.

    A finished run stays as it was recorded: it never runs again, and it outlives its Job. Only an attempt that
    was still ending then gets its end, as long as the run is not reported; and one that was given up since its node
    was not heard of is corrected by what it has to say itself. A run whose Job is gone before it
    ended has failed. A run that went on in another Job is what its newest Job is.

    Active runs come first, then those that are still to be reported, then the others; of each the newest. So a
    report that is due is lost only when 20 newer ones are due too.
    """
    before = {run.id: run for run in known}
    seen = [_with_known_attempts(classify(job, own_pods(pods, job)), before) for job in sorted(jobs, key=creation)]
    current = {
        run.id: before[run.id] if _stands(before.get(run.id), run) else run
        for run in seen
        if run.id in before or not _was_pushed_out(run, known)
    }
    for run in known:
        if run.id not in current:
            current[run.id] = run if _is_finished(run) else _lost(run, now)
    ordered = sorted((_with_ends(run, pods) for run in current.values()), key=_age, reverse=True)
    active = [run for run in ordered if not _is_finished(run)]
    unreported = [run for run in ordered if run.is_unreported]
    reported = [run for run in ordered if _is_finished(run) and not run.is_unreported]
    kept = {run.id for run in (active + unreported + reported)[:STATUS_RUNS_LIMIT]}
    return [run for run in ordered if run.id in kept]


def _age(run: Run) -> tuple[datetime, str]:
    return run.start_time, run.id


def _is_finished(run: Run | None) -> bool:
    return run is not None and run.state in FINISHED_STATES


def _stands(known: Run | None, seen: Run) -> bool:
    """Tell whether the record of a finished run stays as it is, whatever its Job looks like now."""
    was_given_up = known is not None and known.reason == NODE_LOST
    return _is_finished(known) and not (was_given_up and _is_finished(seen) and seen.reason != NODE_LOST)


def _was_pushed_out(run: Run, known: list[Run]) -> bool:
    """Tell whether a run that is not known was reported and left a full list, though its Job is still there.

    Taken for a new one it would push out others, come back as they do, and be reported again and again.
    """
    reported = [_age(one) for one in known if _is_finished(one) and not one.is_unreported]
    is_full = len(known) >= STATUS_RUNS_LIMIT
    return _is_finished(run) and is_full and bool(reported) and _age(run) < min(reported)


def _with_known_attempts(run: Run, before: dict[str, Run]) -> Run:
    """Keep attempts whose pods are gone, and the start of a run that went on in another Job."""
    known = before.get(run.id)
    if known is None:
        return run
    seen = {attempt.pod: attempt for attempt in run.attempts}
    attempts = [seen.pop(attempt.pod, attempt) for attempt in known.attempts]  # in the order in which they came
    attempts = [*attempts, *seen.values()][-ATTEMPTS_LIMIT:]
    start = min(known.start_time, run.start_time)
    return under_way(run.model_copy(update={"attempts": attempts, "start_time": start}))


def _with_ends(run: Run, pods: list[dict[str, Any]]) -> Run:
    """Add what became of attempts that had not ended when the run's end was certain, as after a kill."""
    if not run.is_unreported or all(attempt.end_time for attempt in run.attempts):
        return run
    ended = {pod["metadata"]["name"]: found.attempt for pod in pods if (found := read_pod(pod)).is_finished}
    attempts = [attempt if attempt.end_time else ended.get(attempt.pod, attempt) for attempt in run.attempts]
    return run if attempts == run.attempts else run.model_copy(update={"attempts": attempts})


def _lost(run: Run, now: datetime) -> Run:
    return run.model_copy(
        update={
            "state": "failed",
            "reason": "JobDeleted",
            "message": f"Job {run.job} is gone, and nobody saw the run end",
            "end_time": now,
            "report": "Pending",
        }
    )
