"""The list of runs: what was known before and what is seen now, made one."""

from datetime import datetime
from typing import Any

from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.models.status import FINISHED_STATES, Attempt, Run
from ingestion_operator.runs.classify import classify


def runs_of(jobs: list[dict[str, Any]], pods: list[dict[str, Any]], known: list[Run], now: datetime) -> list[Run]:
    """Return the runs of a pipeline, newest first, at most 20.

    A finished run stays as it was recorded: it never runs again, and it outlives its Job. A run whose Job is
    gone before it ended has failed. Active runs are never pushed out by finished ones.
    """
    before = {run.id: run for run in known}
    seen = [_with_known_attempts(classify(job, _own(pods, job)), before) for job in jobs]
    current = {run.id: before[run.id] if _is_finished(before.get(run.id)) else run for run in seen}
    for run in known:
        if run.id not in current:
            current[run.id] = run if _is_finished(run) else _lost(run, now)
    ordered = sorted(current.values(), key=lambda run: (run.start_time, run.id), reverse=True)
    active = [run for run in ordered if not _is_finished(run)][:STATUS_RUNS_LIMIT]
    finished = [run for run in ordered if _is_finished(run)][: STATUS_RUNS_LIMIT - len(active)]
    kept = {run.id for run in active + finished}
    return [run for run in ordered if run.id in kept]


def _own(pods: list[dict[str, Any]], job: dict[str, Any]) -> list[dict[str, Any]]:
    uid = job["metadata"]["uid"]
    return [pod for pod in pods if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", []))]


def _is_finished(run: Run | None) -> bool:
    return run is not None and run.state in FINISHED_STATES


def _with_known_attempts(run: Run, before: dict[str, Run]) -> Run:
    """Keep attempts whose pods are gone."""
    known = before.get(run.id)
    if known is None:
        return run
    seen = {attempt.pod for attempt in run.attempts}
    earlier: list[Attempt] = [attempt for attempt in known.attempts if attempt.pod not in seen]
    return run.model_copy(update={"attempts": (earlier + run.attempts)[-ATTEMPTS_LIMIT:]}) if earlier else run


def _lost(run: Run, now: datetime) -> Run:
    return run.model_copy(
        update={
            "state": "failed",
            "reason": "JobDeleted",
            "message": f"Job {run.job} is gone, and nobody saw the run end",
            "end_time": now,
        }
    )
