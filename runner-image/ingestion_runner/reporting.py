"""Closing the run's row on the server when the workflow has not done so."""

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

# The workflow did not say how it ended, so a row that it closed in this attempt knows better.
_GUESSES = frozenset({Reason.INTERRUPTED, Reason.WORKFLOW_CRASHED})


@dataclass(frozen=True, slots=True)
class Report:
    """Who closed it on the server, the outcome that holds (the server's, if it knew better), and the problem."""

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
    """Make sure that the server has a terminal row of this attempt.

    ``outcome`` and ``log_tail`` are masked already. ``remaining`` tells the seconds left for reporting; it
    may drop at any time, when the pod is asked to go. Never raises: what cannot be reported here is left to
    the operator.
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
        return Report("nobody", outcome, f"the outcome could not be reported: {failure.message}")
    return Report("runner", outcome)


def _existing_row(client: ServerClient, path: tuple[str, ...], timeout: float) -> dict[str, Any] | None:
    try:
        row = client.get(*path, timeout=timeout)
    except ServerCallError as error:
        # Servers differ in how they say that they have no such run.
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return row if isinstance(row, dict) else None


def _better_of(outcome: Outcome, row: dict[str, Any] | None) -> Outcome:
    if outcome.reason not in _GUESSES or row is None:
        return outcome
    return outcome_of_row(row) or outcome


def milliseconds(instant: datetime) -> int:
    """Since the epoch, as the server counts time."""
    return int(instant.timestamp() * 1000)
