"""Transitions of runs between two consecutive statuses of a pipeline; pure functions."""

from collections.abc import Iterator
from datetime import datetime

from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus, Run
from ingestion_operator.runs.retry.memory import OUT_OF_MEMORY

Change = tuple[Run | None, Run]
"""The earlier and the current state of a run; None and the state for a new run."""


def changes(before: PipelineStatus, after: PipelineStatus) -> Iterator[Change]:
    """Yield the current runs that are new or have changed."""
    known = {run.id: run for run in before.runs}
    for run in after.runs:
        if (was := known.get(run.id)) != run:
            yield was, run


def has_ended(change: Change) -> bool:
    """Return whether the run has ended in this change."""
    was, run = change
    return run.state in FINISHED_STATES and (was is None or was.state not in FINISHED_STATES)


def finished_report(change: Change) -> str:
    """Return the new final result of the run's report, Done or Refused; empty if it has not changed."""
    was, run = change
    return run.report if run.report in ("Done", "Refused") and (was is None or was.report != run.report) else ""


def retries(change: Change) -> int:
    """Return the number of new attempts after the first."""
    was, run = change
    known = {attempt.pod for attempt in was.attempts} if was else set()
    new = sum(attempt.pod not in known for attempt in run.attempts)
    return new if known else max(0, new - 1)


def out_of_memory(change: Change) -> int:
    """Return the number of attempts that have newly run out of memory."""
    was, run = change
    return max(0, _out_of_memory(run) - (_out_of_memory(was) if was else 0))


def first_start(change: Change) -> datetime | None:
    """Return when the run's first container started, if that is newly known."""
    was, run = change
    return first_container_start(run) if was is None or first_container_start(was) is None else None


def first_container_start(run: Run) -> datetime | None:
    """Return the earliest start of an attempt; None if none has started."""
    return min((attempt.start_time for attempt in run.attempts if attempt.start_time), default=None)


def _out_of_memory(run: Run) -> int:
    return sum(attempt.reason == OUT_OF_MEMORY for attempt in run.attempts)
