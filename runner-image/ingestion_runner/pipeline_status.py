"""The run's row on the server (OpenMetadata's PipelineStatus): when the runner may write it, and with what.

The row must satisfy a strict model: no field is known but those in ROW_FIELDS and those of a step summary.
Times are milliseconds since the epoch.
"""

import enum
from collections.abc import Mapping
from typing import Any

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.text import cut

ROW_FIELDS = ("runId", "pipelineState", "startDate", "timestamp", "endDate", "status", "config", "metadata")

RUNNER_STEP = "Runner"
"""Name of the one step in a row that the runner wrote: the operator knows its rows by it."""

_OPEN_STATES = frozenset({"queued", "running"})
_TERMINAL_STATES = frozenset(state.value for state in State)
_MESSAGE_CHARACTERS = 2000


class Decision(enum.Enum):
    """What to do about the row that the server has, or has not."""

    WRITE = "write"
    KEEP = "keep"


def decide(row: Mapping[str, Any] | None, attempt_started: int) -> Decision:
    """Whether the outcome of this attempt has to be written.

    A row that is missing or still open was never closed by the workflow. A closed one is the workflow's own
    word, or the server's, and stays; unless it ended before this attempt began: then it tells of an earlier
    attempt under the same run id. A state this code does not know is not touched.
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
    """The terminal row for ``outcome``, already masked by the caller.

    What the workflow counted is reported in its own steps. Without them the one step ``Runner`` tells the
    reason (``failures[0].name``), the message (``error``) and the end of the log (``stackTrace``).
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
    """What a closed row says, for a child that reported to the server but not to its parent."""
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
