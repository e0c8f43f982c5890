"""Translation of runs into the results of the pipeline service client; pure functions."""

from ingestion_operator.api.service import RunStatus
from ingestion_operator.api.status import Run
from ingestion_operator.runs.openmetadata_states import epoch, start_of, state_for


def run_status(run: Run, server_version: str) -> RunStatus:
    """Return a run as a server of version `major.minor` reads it."""
    return RunStatus(
        run_id=run.id,
        pipeline_state=state_for(run.state, server_version),
        start_date=None if run.state == "queued" else epoch(start_of(run)),
        timestamp=epoch(run.start_time),
        end_date=epoch(run.end_time) if run.end_time else None,
    )
