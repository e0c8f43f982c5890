"""States and times of runs in the format of OpenMetadata's PipelineStatus; pure functions."""

from datetime import datetime
from typing import Final

from ingestion_operator.api.status import Run, RunState

_MILLISECONDS: Final = 1000
_STOPPED_SINCE: Final = (2, 0)
"""The first server version with the state `stopped`; an earlier one drops the whole list of runs because of it."""


def state_for(state: RunState, server_version: str) -> RunState:
    """Return the state to report to a server of the version `major.minor`."""
    has_stopped_state = tuple(int(part) for part in server_version.split(".")[:2]) >= _STOPPED_SINCE
    return "failed" if state == "stopped" and not has_stopped_state else state


def start_of(run: Run) -> datetime:
    """Return when the first container of a run started; before that, when the run was requested."""
    return next((attempt.start_time for attempt in run.attempts if attempt.start_time is not None), run.start_time)


def epoch(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return int(moment.timestamp() * _MILLISECONDS)
