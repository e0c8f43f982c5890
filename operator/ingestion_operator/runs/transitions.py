"""What happened to runs between two statuses of a pipeline; pure functions.

Both are as written, one after the other. So what is found here happened once, however often it is compared.
"""

from collections.abc import Iterator
from datetime import datetime

from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus, Run
from ingestion_operator.runs.retry.memory import OUT_OF_MEMORY

Change = tuple[Run | None, Run]
"""A run as it was, None if it is new, and as it is."""


def changes(before: PipelineStatus, after: PipelineStatus) -> Iterator[Change]:
    """Yield the runs that are listed now and are not what they were."""
    known = {run.id: run for run in before.runs}
    for run in after.runs:
        if (was := known.get(run.id)) != run:
            yield was, run


def has_ended(change: Change) -> bool:
    """Return whether the run has come to its end."""
    was, run = change
    return run.state in FINISHED_STATES and (was is None or was.state not in FINISHED_STATES)


def settled_report(change: Change) -> str:
    """Return what has become of the report of the run's end, Done or Refused; empty if nothing is new."""
    was, run = change
    return run.report if run.report in ("Done", "Refused") and (was is None or was.report != run.report) else ""


def retries(change: Change) -> int:
    """Return how many attempts after the first have come."""
    was, run = change
    known = {attempt.pod for attempt in was.attempts} if was else set()
    came = sum(attempt.pod not in known for attempt in run.attempts)
    return came if known else max(0, came - 1)


def out_of_memory(change: Change) -> int:
    """Return how many attempts have ended for lack of memory."""
    was, run = change
    return max(0, _out_of_memory(run) - (_out_of_memory(was) if was else 0))


def first_start(change: Change) -> datetime | None:
    """Return when the run's first container started, if that has become known."""
    was, run = change
    return _first_start(run) if was is None or _first_start(was) is None else None


def _first_start(run: Run) -> datetime | None:
    return min((attempt.start_time for attempt in run.attempts if attempt.start_time), default=None)


def _out_of_memory(run: Run) -> int:
    return sum(attempt.reason == OUT_OF_MEMORY for attempt in run.attempts)
