"""The row of a finished run in OpenMetadata (its PipelineStatus); pure functions.

A row belongs to a run, not to an attempt. The last writer in the run's last attempt has precedence: the workflow, else
the runner's parent process, else the operator. The operator may replace

1. a missing row, or an open one (queued, running, no state);
2. a provisional row: the parent process received SIGTERM and does not know why;
3. a row that was closed before the last attempt started: it belongs to an earlier attempt;
4. its own row of a run that was terminated as NodeLost, once the run itself has reported its outcome.

Any other row is final, and so is an unknown state. For an attempt that refused to start outside startDate/endDate only
an open or provisional row is closed; none is created.

Rows are plain dicts. The server accepts only ROW_FIELDS and the fields of a step. Times are milliseconds since 1970.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ingestion_operator.api.status import FINISHED_STATES, Attempt, Run
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.openmetadata_states import epoch, start_of, state_for

Row = Mapping[str, Any]

ROW_FIELDS: Final = ("runId", "pipelineState", "startDate", "timestamp", "endDate", "status", "config", "metadata")
OPERATOR_STEP: Final = "Operator"
"""Name of the only step in a row of the operator."""

_RUNNER_STEP: Final = "Runner"
_INTERRUPTED: Final = "Interrupted"
_OPEN_STATES: Final = frozenset({"queued", "running"})
_NEVER_A_RUN: Final = "OutsideSchedule"
_LISTED_ATTEMPTS: Final = 10
_ERROR_CHARACTERS: Final = 8000
LOG_TAIL_CHARACTERS: Final = 16_000
"""Maximum length of the log's end in a row, which the server stores in its database."""

_SECOND: Final = 1000
_NOT_SHOWN: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colour codes, and characters that a database may reject."""


def is_due(run: Run, row: Row | None) -> bool:
    """Return whether a finished run's row must be written, given the server's current row."""
    if not row:
        return run.reason != _NEVER_A_RUN
    state = row.get("pipelineState")
    if state is None:
        return True
    if not isinstance(state, str) or state not in FINISHED_STATES | _OPEN_STATES:
        return False
    if state in _OPEN_STATES:
        return True
    if (own := _only_step(row, OPERATOR_STEP)) is not None:
        return run.reason != NODE_LOST and _first_failure(own).get("name") == NODE_LOST
    return is_provisional(row) or (run.reason != _NEVER_A_RUN and _is_of_earlier_attempt(run, row))


def is_provisional(row: Row) -> bool:
    """Return whether the runner's parent process closed the row after SIGTERM without knowing the cause."""
    step = _only_step(row, _RUNNER_STEP)
    return step is not None and _first_failure(step).get("name") == _INTERRUPTED


def closed_row(run: Run, row: Row | None, *, server_version: str, log_tail: str) -> dict[str, Any]:
    """Return the terminal row of a finished run, with the other fields of the server's row.

    `log_tail` is the end of its last log, masked; empty if there is none.
    """
    kept = {key: value for key, value in (row or {}).items() if key in ROW_FIELDS and value is not None}
    return {
        "startDate": epoch(start_of(run)),
        "timestamp": epoch(run.start_time),
        **kept,
        "runId": run.id,
        "pipelineState": state_for(run.state, server_version),
        "endDate": epoch(run.end_time or run.start_time),
        "status": [_step(run, log_tail or _tail_of(row))],
    }


def needs_log(run: Run) -> bool:
    """Return whether the row of a run contains the end of its log."""
    return run.state not in ("success", "partialSuccess")


def _step(run: Run, log_tail: str) -> dict[str, Any]:
    counts = run.summary
    step: dict[str, Any] = {
        "name": OPERATOR_STEP,
        "records": counts.records if counts else 0,
        "warnings": counts.warnings if counts else 0,
        "errors": counts.errors if counts else 0,
        "filtered": 0,
    }
    if not needs_log(run):
        return step
    failure = {"name": run.reason, "error": _error_text(run)}
    if log_tail:
        failure["stackTrace"] = _NOT_SHOWN.sub("", log_tail)[-LOG_TAIL_CHARACTERS:]
    return {**step, "errors": max(1, step["errors"]), "failures": [failure]}


def _error_text(run: Run) -> str:
    """Return the message of the run, and one line for each of its last attempts."""
    first = max(0, len(run.attempts) - _LISTED_ATTEMPTS)
    lines = [_attempt_line(number, attempt) for number, attempt in enumerate(run.attempts[first:], first + 1)]
    return _NOT_SHOWN.sub("", "\n".join([run.message, *lines]))[:_ERROR_CHARACTERS]


def _attempt_line(number: int, attempt: Attempt) -> str:
    place = f"pod {attempt.pod}" + (f" on node {attempt.node}" if attempt.node else "")
    if attempt.start_time is None:
        return f"Attempt {number}: {place}, never started{_because(attempt)}"
    times = f"{format_timestamp(attempt.start_time)} to {_or_unknown(attempt.end_time)}"
    exit_code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    return f"Attempt {number}: {place}, {times}{exit_code}{_because(attempt)}"


def _because(attempt: Attempt) -> str:
    return f", {attempt.reason}" if attempt.reason else ""


def _or_unknown(moment: datetime | None) -> str:
    return format_timestamp(moment) if moment else "an unknown end"


def _tail_of(row: Row | None) -> str:
    """Return the end of the log from a provisional row, since the pod and its log may be gone."""
    if row is None or not is_provisional(row):
        return ""
    return str(_first_failure(row["status"][0]).get("stackTrace") or "")


def _is_of_earlier_attempt(run: Run, row: Row) -> bool:
    ended, started = row.get("endDate"), _last_attempt_start(run)
    return isinstance(ended, int) and started is not None and ended < started


def _last_attempt_start(run: Run) -> int | None:
    """Return the earliest possible start of the last attempt; None if it may be the only one."""
    moments = [epoch(attempt.start_time) for attempt in run.attempts if attempt.start_time]
    if run.attempts and run.attempts[-1].start_time is None:
        # No known start: it is after the end of the previous attempt, whose time is in whole seconds.
        moments += [epoch(attempt.end_time) + _SECOND for attempt in run.attempts[:-1] if attempt.end_time]
    return max(moments, default=None)


def _only_step(row: Row, name: str) -> Row | None:
    steps = row.get("status")
    if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], dict):
        return None
    step: Row = steps[0]
    return step if step.get("name") == name else None


def _first_failure(step: Row) -> Row:
    failures = step.get("failures")
    if not isinstance(failures, list) or not failures or not isinstance(failures[0], dict):
        return {}
    failure: Row = failures[0]
    return failure
