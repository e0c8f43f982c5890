"""Seeing to it that an automation is closed on the server, whatever became of the library that carried it out."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ingestion_runner.automation import AutomationTarget
from ingestion_runner.automation_status import (
    closing_patch,
    connection_type,
    decide,
    outcome_of_workflow,
    outcome_without_result,
)
from ingestion_runner.outcomes import Outcome, Reason, RunError, State
from ingestion_runner.pipeline_status import Decision
from ingestion_runner.reporting import Report, milliseconds
from ingestion_runner.retrying import with_retries
from ingestion_runner.server import ServerCallError, ServerClient

_DEFINITION_SECONDS = 2.0
"""Longest wait for the definition, which only makes the reason easier to see: closing must come in time."""


def close_automation(
    target: AutomationTarget,
    outcome: Outcome,
    *,
    started: datetime,
    ended: datetime,
    log_tail: str,
    remaining: Callable[[], float],
) -> Report:
    """Close the automation as failed unless the library has closed it.

    ``outcome`` and ``log_tail`` are masked already; the outcome of the report may hold text from the server,
    which is not. ``remaining`` tells the seconds left, and may drop at any time. Never raises.
    """
    try:
        client = ServerClient(target.server, target.token)
        path = ("automations", "workflows", target.workflow_id)
        workflow = with_retries(lambda timeout: _workflow(client, path, timeout), remaining)
        if workflow is None:
            return _deleted(outcome)
        if decide(workflow, outcome, milliseconds(started)) is Decision.KEEP:
            return Report("workflow", outcome_of_workflow(workflow))
        if outcome.state is not State.FAILED:
            outcome = outcome_without_result(workflow)
        operations = closing_patch(
            workflow,
            outcome,
            definition=_definition(client, workflow, min(_DEFINITION_SECONDS, remaining())),
            started=milliseconds(started),
            ended=milliseconds(ended),
            log_tail=log_tail,
        )
        with_retries(lambda timeout: client.patch(*path, operations=operations, timeout=timeout), remaining)
    except RunError as failure:
        problem = f"the automation could not be closed in OpenMetadata: {failure.message}"
        if outcome.state is not State.FAILED:
            outcome = Outcome.failed(failure.reason, f"the connection test was carried out, but {problem}")
        return Report("nobody", outcome, problem)
    return Report("runner", outcome)


def _workflow(client: ServerClient, path: tuple[str, ...], timeout: float) -> dict[str, Any] | None:
    try:
        workflow = client.get(*path, timeout=timeout)
    except ServerCallError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    if not isinstance(workflow, dict):
        raise ServerCallError(Reason.SERVER_ERROR, f"the server answered no automation for {path[-1]}")
    return workflow


def _deleted(outcome: Outcome) -> Report:
    """OpenMetadata's dialog deletes an automation as soon as it has seen the end: nobody waits any more."""
    if outcome.state is State.FAILED:
        return Report("nobody", outcome, "there is nothing to close: OpenMetadata has no such automation")
    message = "the connection test was carried out; OpenMetadata has deleted the automation since"
    return Report("workflow", Outcome(state=outcome.state, reason=outcome.reason, message=message))


def _definition(client: ServerClient, workflow: dict[str, Any], timeout: float) -> list[str]:
    """The names of the test's steps, or none when they cannot be had: the reason is told all the same."""
    kind = connection_type(workflow)
    if kind is None or timeout <= 0:
        return []
    try:
        definition = client.get(
            "services", "testConnectionDefinitions", "name", f"{kind}.testConnectionDefinition", timeout=timeout
        )
    except ServerCallError:
        return []
    steps = definition.get("steps") if isinstance(definition, dict) else None
    return [str(step["name"]) for step in steps or () if isinstance(step, dict) and step.get("name")]
