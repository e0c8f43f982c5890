"""The run's row on the server (OpenMetadata's PipelineStatus): whether the runner must write it, and its content.

The server accepts only the fields in ROW_FIELDS and those of a step summary (docs/development/rest-contract.md). Times
are milliseconds since the epoch.
"""

import enum
from collections.abc import Mapping
from typing import Any

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.text import cut

ROW_FIELDS = ("runId", "pipelineState", "startDate", "timestamp", "endDate", "status", "config", "metadata")

RUNNER_STEP = "Runner"
"""Name of the only step in a row of the runner, by which the operator recognises the row."""

_OPEN_STATES = frozenset({"queued", "running"})
_TERMINAL_STATES = frozenset(state.value for state in State)
_MESSAGE_CHARACTERS = 2000


class Decision(enum.Enum):
    """Whether to write the row."""

    WRITE = "write"
    KEEP = "keep"


def decide(row: Mapping[str, Any] | None, attempt_started: int) -> Decision:
    """Return whether the outcome of this attempt must be written.

    A missing or open row was not closed by the workflow. A closed row was written by the workflow or the server and
    stays, unless it ended before this attempt started: then it is from an earlier attempt with the same run id. A row
    with an unknown state stays too.
    """
    if not row:
        return Decision.WRITE
    state = row.get("pipelineState")
    if state is None or state in _OPEN_STATES:
        return Decision.WRITE
    ended = row.get("endDate")
    if state in _TERMINAL_STATES and isinstance(ended, int) and ended < attempt_started:
        return Decision.WRITE
    return Decision.KEEP


def closed_row(
    outcome: Outcome,
    *,
    run_id: str,
    started: int,
    ended: int,
    existing: Mapping[str, Any] | None,
    log_tail: str,
) -> dict[str, Any]:
    """Return the terminal row for a masked ``outcome``.

    It has the steps of the workflow. Without them it has one step ``Runner`` with the reason (``failures[0].name``),
    the message (``error``) and the end of the log (``stackTrace``).
    """
    row = {key: value for key, value in (existing or {}).items() if key in ROW_FIELDS and value is not None}
    row.setdefault("startDate", started)
    row.setdefault("timestamp", started)
    row["runId"] = run_id
    row["pipelineState"] = outcome.state.value
    row["endDate"] = ended
    row["status"] = [dict(step) for step in outcome.steps] or [_runner_step(outcome, log_tail)]
    return row


def outcome_of_row(row: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome in a closed row, for a child that reported to the server but not to its parent."""
    try:
        state = State(row.get("pipelineState", ""))
    except ValueError:
        return None
    reason = {
        State.SUCCESS: Reason.SUCCEEDED,
        State.PARTIAL_SUCCESS: Reason.PARTIALLY_SUCCEEDED,
    }.get(state, Reason.WORKFLOW_FAILED)
    return Outcome(state=state, reason=reason, message=f"the workflow reported {state.value} before it ended")


def _runner_step(outcome: Outcome, log_tail: str) -> dict[str, Any]:
    failure: dict[str, str] = {
        "name": outcome.reason.value,
        "error": cut(outcome.message, _MESSAGE_CHARACTERS),
    }
    if log_tail:
        failure["stackTrace"] = log_tail
    return {
        "name": RUNNER_STEP,
        "records": 0,
        "warnings": 0,
        "errors": 1,
        "filtered": 0,
        "failures": [failure],
    }
