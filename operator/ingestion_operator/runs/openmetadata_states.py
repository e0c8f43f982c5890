"""Runs in the terms of OpenMetadata's PipelineStatus: states by version of the server, times; pure functions."""

from datetime import datetime
from typing import Final

from ingestion_operator.api.status import Run, RunState

_MILLISECONDS: Final = 1000
_KNOWS_STOPPED: Final = (2, 0)
"""The first version of the server that has the state `stopped`; an earlier one drops the whole list for it."""


def state_for(state: RunState, server_version: str) -> RunState:
    """Return the state as a server of the version `major.minor` knows it."""
    knows_stopped = tuple(int(part) for part in server_version.split(".")[:2]) >= _KNOWS_STOPPED
    return "failed" if state == "stopped" and not knows_stopped else state


def start_of(run: Run) -> datetime:
    """Return when the first container of a run began; before that, when the run was asked for."""
    return next((attempt.start_time for attempt in run.attempts if attempt.start_time is not None), run.start_time)


def epoch(moment: datetime) -> int:
    """Return a moment in milliseconds since 1970."""
    return int(moment.timestamp() * _MILLISECONDS)
