"""The automation on the server: when the runner may close it, with what, and what it says once it is closed.

The dialog in OpenMetadata polls the status until it is terminal. It then shows each step of the test's
definition with the result of the same name, so a reason is seen only in a step that the definition has.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.pipeline_status import Decision
from ingestion_runner.text import cut, one_line

FIRST_STEP = "CheckAccess"
"""The step that every definition begins with."""

_TERMINAL_STATUSES = ("Successful", "Failed")
_MESSAGE_CHARACTERS = 2000
_ERROR_CHARACTERS = 300
_STEPS_NAMED = 5


def decide(workflow: Mapping[str, Any], outcome: Outcome, started: int) -> Decision:
    """Whether the runner has to close the automation; ``started`` in milliseconds since the epoch.

    A terminal status is the library's own word and stays, unless the library failed and that word is no answer
    to it: it was left by an earlier start of the same automation, or it gives no step and so no reason.
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
    definition: Sequence[str],
    started: int,
    ended: int,
    log_tail: str,
) -> list[dict[str, Any]]:
    """The JSON Patch that closes the automation as failed, for the reason that ``outcome`` tells.

    Steps that the test has done since it started stay. ``definition`` are the names of all its steps, in
    order, or empty when they are not known; ``outcome`` and ``log_tail`` are masked by the caller; times are
    in milliseconds since the epoch. The fields of a step are those that all versions of the library know.
    """
    steps = _steps_since(workflow, started)
    step: dict[str, Any] = {
        "name": _open_step(definition or (FIRST_STEP,), steps),
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
    """What a closed automation says. It was carried out, so the run succeeded, whatever the test's result."""
    failed = [step for step in _steps(workflow) if step.get("passed") is False and step.get("status") != "Skipped"]
    if _response(workflow).get("status") == "Successful":
        message = "the connection test passed"
        if failed:
            message += f"; optional steps failed: {_told(failed)}"
    elif failed:
        message = f"the connection test failed: {_told(failed)}"
    else:
        message = f"the connection test ended as {workflow.get('status')}"
    return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message=message)


def outcome_without_result(workflow: Mapping[str, Any]) -> Outcome:
    """The library came to its end, but the server says that the automation goes on."""
    return Outcome.failed(
        Reason.WORKFLOW_FAILED,
        "the connection test was carried out, but its result did not reach OpenMetadata, where the automation "
        f"was still {workflow.get('status') or 'without a status'}",
    )


def connection_type(workflow: Mapping[str, Any]) -> str | None:
    """The type of the tested connection, such as ``Postgres``, by which its definition is named."""
    request = workflow.get("request")
    found = request.get("connectionType") if isinstance(request, Mapping) else None
    return found if isinstance(found, str) else None


def _message(outcome: Outcome) -> str:
    if outcome.reason is Reason.INTERRUPTED:
        return "The test was stopped before its end: its time was up, or its pod had to go."
    return one_line(outcome.message)


def _open_step(definition: Iterable[str], done: Sequence[Mapping[str, Any]]) -> str:
    """The first step that has no result yet; if all have one, the last: the failure came after it."""
    finished = [step.get("name") for step in done]
    name = FIRST_STEP
    for name in definition:
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


def _told(failed: Sequence[Mapping[str, Any]]) -> str:
    """The names of failed steps, the first with its error."""
    names = ", ".join(str(step.get("name")) for step in failed[:_STEPS_NAMED])
    more = ", …" if len(failed) > _STEPS_NAMED else ""
    error = failed[0].get("errorLog")
    return f"{names}{more}" + (f" ({cut(one_line(str(error)), _ERROR_CHARACTERS)})" if error else "")
