"""Runs in the words of OpenMetadata's PipelineStatus; pure functions."""

from datetime import datetime
from typing import Final

from ingestion_operator.models.service import RunStatus
from ingestion_operator.models.status import Run

_MILLISECONDS: Final = 1000
_KNOWS_STOPPED: Final = (2, 0)
"""The first version of the server that has the state `stopped`; an earlier one drops the whole list for it."""


def run_status(run: Run, server_version: str) -> RunStatus:
    """Return a run for a server of the version `major.minor`."""
    started = next((attempt.start_time for attempt in run.attempts if attempt.start_time is not None), None)
    knows_stopped = tuple(int(part) for part in server_version.split(".")[:2]) >= _KNOWS_STOPPED
    return RunStatus(
        run_id=run.id,
        pipeline_state="failed" if run.state == "stopped" and not knows_stopped else run.state,
        start_date=None if run.state == "queued" else _epoch(started or run.start_time),
        timestamp=_epoch(run.start_time),
        end_date=_epoch(run.end_time) if run.end_time else None,
    )


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp() * _MILLISECONDS)
