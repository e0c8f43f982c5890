"""Closing of an automation on the server, if the library has not done so."""

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

_STEP_NAMES_SECONDS = 2.0
"""Time limit for the names of the test's steps, which are optional: the automation must be closed in time."""


def close_automation(
    target: AutomationTarget,
    outcome: Outcome,
    *,
    started: datetime,
    ended: datetime,
    log_tail: str,
    remaining: Callable[[], float],
) -> Report:
    """Close the automation as failed unless the library has closed it. Never raises.

    Args:
        target: The automation.
        outcome: The outcome, masked. That of the returned report may have unmasked text from the server.
        started: When the automation started.
        ended: When it ended.
        log_tail: The last lines of the log, masked.
        remaining: Returns the seconds left, which may decrease at any time.
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
            step_names=_step_names(client, workflow, min(_STEP_NAMES_SECONDS, remaining())),
            started=milliseconds(started),
            ended=milliseconds(ended),
            log_tail=log_tail,
        )
        with_retries(lambda timeout: client.patch(*path, operations=operations, timeout=timeout), remaining)
    except RunError as failure:
        problem = f"the automation could not be closed in OpenMetadata: {failure.message}"
        if outcome.state is not State.FAILED:
            outcome = Outcome.failed(failure.reason, f"the connection test was completed, but {problem}")
        return Report("none", outcome, problem)
    return Report("runner", outcome)


def _workflow(client: ServerClient, path: tuple[str, ...], timeout: float) -> dict[str, Any] | None:
    try:
        workflow = client.get(*path, timeout=timeout)
    except ServerCallError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    if not isinstance(workflow, dict):
        raise ServerCallError(Reason.SERVER_ERROR, f"the server returned no automation for {path[-1]}")
    return workflow


def _deleted(outcome: Outcome) -> Report:
    """Report on a deleted automation: OpenMetadata's dialog deletes it once it has its result."""
    if outcome.state is State.FAILED:
        return Report("none", outcome, "the automation does not exist in OpenMetadata any more")
    message = "the connection test was completed, and OpenMetadata has deleted the automation since"
    return Report("workflow", Outcome(state=outcome.state, reason=outcome.reason, message=message))


def _step_names(client: ServerClient, workflow: dict[str, Any], timeout: float) -> list[str]:
    """Return the names of the test's steps, or an empty list if they cannot be read."""
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
