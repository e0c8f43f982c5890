"""The row that OpenMetadata must have of a finished run (its PipelineStatus); pure functions.

A row belongs to a run, not to an attempt. What closes it last in the run's last attempt is believed: the
workflow, else the runner's parent, else the operator. What the operator may replace:

1. no row, or an open one (queued, running, no state);
2. a provisional row: the parent was asked to stop and cannot know why;
3. a row that was closed before the last attempt began: it belongs to an earlier attempt;
4. its own row of a run whose node did not report, once the run itself has reported how it ended.

Any other row is final, and so is a state that this code does not know. An attempt that refused to start outside
startDate/endDate has no row of its own: it closes what is open or provisional, and no more.

Rows are plain dicts; the server takes no fields but ROW_FIELDS and those of a step. Times are milliseconds since
1970.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ingestion_operator.api.status import FINISHED_STATES, Attempt, Run
from ingestion_operator.api.types import format_timestamp
from ingestion_operator.runs.classify import NODE_LOST
from ingestion_operator.runs.openmetadata_states import epoch, start_of, state_for

Row = Mapping[str, Any]

ROW_FIELDS: Final = ("runId", "pipelineState", "startDate", "timestamp", "endDate", "status", "config", "metadata")
OPERATOR_STEP: Final = "Operator"
"""Name of the one step in a row that the operator wrote."""

_RUNNER_STEP: Final = "Runner"
_INTERRUPTED: Final = "Interrupted"
_OPEN_STATES: Final = frozenset({"queued", "running"})
_NEVER_A_RUN: Final = "OutsideSchedule"
_STORY_ATTEMPTS: Final = 10
_ERROR_CHARACTERS: Final = 8000
LOG_TAIL_CHARACTERS: Final = 16_000
"""A row is stored in the server's database: the end of a log is bounded."""

_SECOND: Final = 1000
_NOT_SHOWN: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and characters that a database may refuse."""


def is_due(run: Run, row: Row | None) -> bool:
    """Return whether a finished run's row has to be written, given the one that the server has."""
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
    return is_provisional(row) or (run.reason != _NEVER_A_RUN and _tells_of_an_earlier_attempt(run, row))


def is_provisional(row: Row) -> bool:
    """Return whether the runner's parent closed a row without knowing why it was asked to stop."""
    step = _only_step(row, _RUNNER_STEP)
    return step is not None and _first_failure(step).get("name") == _INTERRUPTED


def closed_row(run: Run, row: Row | None, *, server_version: str, log_tail: str) -> dict[str, Any]:
    """Return the terminal row of a finished run; what the server has of it otherwise stays.

    `log_tail` is the end of its last log, masked; empty where there is none.
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
    """Return whether the row of a run shows the end of its log."""
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
    failure = {"name": run.reason, "error": _story(run)}
    if log_tail:
        failure["stackTrace"] = _NOT_SHOWN.sub("", log_tail)[-LOG_TAIL_CHARACTERS:]
    return {**step, "errors": max(1, step["errors"]), "failures": [failure]}


def _story(run: Run) -> str:
    """Return the message, and what became of each pod."""
    first = max(0, len(run.attempts) - _STORY_ATTEMPTS)
    lines = [_attempt_story(number, attempt) for number, attempt in enumerate(run.attempts[first:], first + 1)]
    return _NOT_SHOWN.sub("", "\n".join([run.message, *lines]))[:_ERROR_CHARACTERS]


def _attempt_story(number: int, attempt: Attempt) -> str:
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
    """Return the end of the log as the runner's parent saw it: its pod, and the log with it, may be gone."""
    if row is None or not is_provisional(row):
        return ""
    return str(_first_failure(row["status"][0]).get("stackTrace") or "")


def _tells_of_an_earlier_attempt(run: Run, row: Row) -> bool:
    ended, began = row.get("endDate"), _last_attempt_began(run)
    return isinstance(ended, int) and began is not None and ended < began


def _last_attempt_began(run: Run) -> int | None:
    """Return the earliest moment in which the last attempt can have begun, None if it may be the only one."""
    moments = [epoch(attempt.start_time) for attempt in run.attempts if attempt.start_time]
    if run.attempts and run.attempts[-1].start_time is None:
        # It never started, or its start was not seen: after the end of the one before, whose time is in whole seconds.
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
