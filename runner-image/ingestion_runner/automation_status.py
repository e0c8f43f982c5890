"""The automation on the server: whether the runner must close it, with which result, and the result of a closed one.

OpenMetadata's dialog polls the status until it is terminal. It then shows the steps of the connection test's
definition, each with the result of the same name. So the reason of a failure must be in one of these steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.pipeline_status import Decision
from ingestion_runner.text import cut, one_line

FIRST_STEP = "CheckAccess"
"""The first step of every connection test."""

_TERMINAL_STATUSES = ("Successful", "Failed")
_MESSAGE_CHARACTERS = 2000
_ERROR_CHARACTERS = 300
_STEPS_NAMED = 5


def decide(workflow: Mapping[str, Any], outcome: Outcome, started: int) -> Decision:
    """Return whether the runner must close the automation; ``started`` is in milliseconds since the epoch.

    A terminal status was written by the library and stays, except after a failure of the library if the status does not
    show it: if it comes from an earlier start of the automation, or has no steps and therefore no reason.
    """
    if workflow.get("status") not in _TERMINAL_STATUSES:
        return Decision.WRITE
    if outcome.state is not State.FAILED:
        return Decision.KEEP
    return Decision.KEEP if _steps_since(workflow, started) else Decision.WRITE


def closing_patch(
    workflow: Mapping[str, Any],
    outcome: Outcome,
    *,
    step_names: Sequence[str],
    started: int,
    ended: int,
    log_tail: str,
) -> list[dict[str, Any]]:
    """Return the JSON Patch that closes the automation as failed. Steps that were completed since the start stay.

    The fields of a step are those that all versions of the library have.

    Args:
        workflow: The automation on the server.
        outcome: The outcome with the reason of the failure, masked.
        step_names: The names of all steps of the test, in order; empty if they are not known.
        started: When the automation started, in milliseconds since the epoch.
        ended: When it ended, in milliseconds since the epoch.
        log_tail: The last lines of the log, masked.
    """
    steps = _steps_since(workflow, started)
    step: dict[str, Any] = {
        "name": _open_step(step_names or (FIRST_STEP,), steps),
        "mandatory": True,
        "passed": False,
        "message": cut(_message(outcome), _MESSAGE_CHARACTERS),
    }
    if log_tail:
        step["errorLog"] = log_tail
    done = [known for known in steps if known.get("name") != step["name"]]
    response = {"lastUpdatedAt": ended, "status": "Failed", "steps": [*done, step]}
    return [
        {"op": "add", "path": "/response", "value": response},
        {"op": "add", "path": "/status", "value": "Failed"},
    ]


def outcome_of_workflow(workflow: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a closed automation. It was completed, so the run succeeded whatever the test's result."""
    failed = [step for step in _steps(workflow) if step.get("passed") is False and step.get("status") != "Skipped"]
    if _response(workflow).get("status") == "Successful":
        message = "the connection test passed"
        if failed:
            message += f"; optional steps failed: {_failed_steps_text(failed)}"
    elif failed:
        message = f"the connection test failed: {_failed_steps_text(failed)}"
    else:
        message = f"the connection test ended as {workflow.get('status')}"
    return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message=message)


def outcome_without_result(workflow: Mapping[str, Any]) -> Outcome:
    """Return the outcome if the library has ended and the automation is still open on the server."""
    return Outcome.failed(
        Reason.WORKFLOW_FAILED,
        "the connection test was completed, but its result did not reach OpenMetadata, where the automation "
        f"was still {workflow.get('status') or 'without a status'}",
    )


def connection_type(workflow: Mapping[str, Any]) -> str | None:
    """Return the type of the tested connection, such as ``Postgres``, or None."""
    request = workflow.get("request")
    found = request.get("connectionType") if isinstance(request, Mapping) else None
    return found if isinstance(found, str) else None


def _message(outcome: Outcome) -> str:
    if outcome.reason is Reason.INTERRUPTED:
        return "The test was stopped before its end: its time was up, or its pod was deleted."
    return one_line(outcome.message)


def _open_step(step_names: Iterable[str], done: Sequence[Mapping[str, Any]]) -> str:
    """Return the first step without a result, or the last step if all have one."""
    finished = [step.get("name") for step in done]
    name = FIRST_STEP
    for name in step_names:
        if name not in finished:
            break
    return name


def _response(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    response = workflow.get("response")
    return response if isinstance(response, Mapping) else {}


def _steps(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    steps = _response(workflow).get("steps")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _steps_since(workflow: Mapping[str, Any], started: int) -> list[dict[str, Any]]:
    updated = _response(workflow).get("lastUpdatedAt")
    is_older = isinstance(updated, int) and updated < started
    return [] if is_older else _steps(workflow)


def _failed_steps_text(failed: Sequence[Mapping[str, Any]]) -> str:
    """Return the names of failed steps, the first one with its error."""
    names = ", ".join(str(step.get("name")) for step in failed[:_STEPS_NAMED])
    more = ", …" if len(failed) > _STEPS_NAMED else ""
    error = failed[0].get("errorLog")
    return f"{names}{more}" + (f" ({cut(one_line(str(error)), _ERROR_CHARACTERS)})" if error else "")
