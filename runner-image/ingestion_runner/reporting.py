"""Closing of the run's row on the server, if the workflow has not done so."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ingestion_runner.inputs import ReportTarget
from ingestion_runner.outcomes import Outcome, Reason, RunError
from ingestion_runner.pipeline_status import Decision, closed_row, decide, outcome_of_row
from ingestion_runner.retrying import with_retries
from ingestion_runner.server import ServerCallError, ServerClient
from ingestion_runner.summary import ReportedBy

# The workflow did not report its end to the parent, so a row that it closed in this attempt takes precedence.
_INFERRED = frozenset({Reason.INTERRUPTED, Reason.WORKFLOW_CRASHED})


@dataclass(frozen=True, slots=True)
class Report:
    """Which process closed the row, the final outcome, and the problem if it could not be closed."""

    reported_by: ReportedBy
    outcome: Outcome
    problem: str | None = None


def report(
    target: ReportTarget,
    token: str | None,
    outcome: Outcome,
    *,
    started: datetime,
    ended: datetime,
    log_tail: str,
    remaining: Callable[[], float],
) -> Report:
    """Ensure that the server has a terminal row of this attempt. Never raises; the operator reports what fails here.

    Args:
        target: The run.
        token: The bot's token; None if the server needs none.
        outcome: The outcome, masked.
        started: When the attempt started.
        ended: When it ended.
        log_tail: The last lines of the log, masked.
        remaining: Returns the seconds left, which decrease when the pod gets SIGTERM.
    """
    try:
        client = ServerClient(target.server, token)
        path = ("services", "ingestionPipelines", target.fully_qualified_name, "pipelineStatus")
        row = with_retries(lambda timeout: _existing_row(client, (*path, target.run_id), timeout), remaining)
        if decide(row, milliseconds(started)) is Decision.KEEP:
            return Report("workflow", _better_of(outcome, row))
        body = closed_row(
            outcome,
            run_id=target.run_id,
            started=milliseconds(started),
            ended=milliseconds(ended),
            existing=row,
            log_tail=log_tail,
        )
        with_retries(lambda timeout: client.put(*path, body=body, timeout=timeout), remaining)
    except RunError as failure:
        return Report("none", outcome, f"the outcome could not be reported: {failure.message}")
    return Report("runner", outcome)


def _existing_row(client: ServerClient, path: tuple[str, ...], timeout: float) -> dict[str, Any] | None:
    try:
        row = client.get(*path, timeout=timeout)
    except ServerCallError as error:
        # Servers report an unknown run in different ways.
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return row if isinstance(row, dict) else None


def _better_of(outcome: Outcome, row: dict[str, Any] | None) -> Outcome:
    if outcome.reason not in _INFERRED or row is None:
        return outcome
    return outcome_of_row(row) or outcome


def milliseconds(instant: datetime) -> int:
    """Return milliseconds since the epoch, as in the server."""
    return int(instant.timestamp() * 1000)
