"""Runs an automation: a connection test of the library, which also writes its result to the server."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from ingestion_runner.automation import AutomationTarget, automation_target, require_test_connection
from ingestion_runner.channel import ChannelWriter
from ingestion_runner.fields import field, read_document
from ingestion_runner.inputs import InputPaths
from ingestion_runner.outcomes import Outcome, Reason, RunError, State
from ingestion_runner.server import ServerClient
from ingestion_runner.workflow.execution import load, require_source_type
from ingestion_runner.workflow.failures import StartLog, explain_start_failure, logged
from ingestion_runner.workflow.handover import wait_for_automation

_RUNNER = "metadata.automations.execute_runner"
_MODEL = ("metadata.generated.schema.entity.automations.workflow", "Workflow")
_PARSER = ("metadata.ingestion.api.parser", "parse_automation_workflow_gracefully")
_FILE = "pipeline.json: "
_CONNECTION = "openMetadataServerConnection"
_CONNECTION_MODEL = (
    "metadata.generated.schema.entity.services.connections.metadata.openMetadataConnection",
    "OpenMetadataConnection",
)


def run_automation(paths: InputPaths) -> Outcome:
    """Run the mounted automation. The parent has read the same file, and masks its secrets.

    Raises:
        RunError: It could not be completed.
    """
    return _execute(read_document(paths.automation))


def run_warm_automation(run_input: Mapping[str, Any], paths: InputPaths, channel: ChannelWriter) -> Outcome:
    """Import the library, wait for an automation, and run it. If none comes, the run succeeds.

    Raises:
        RunError: See ``run_automation``.
    """
    seconds = field(run_input, "waitSeconds", (int, float), where=_FILE)
    port = field(run_input, "port", (int,), where=_FILE)
    load(_RUNNER, "automations")
    for named in (_MODEL, _PARSER, _CONNECTION_MODEL):
        _named(named)
    sys.stdout.write(f"[runner] waiting for an automation for up to {seconds} s\n")
    document = wait_for_automation(paths, port, seconds, on_taken=channel.send_automation)
    if document is None:
        message = f"no automation came within {seconds} s: this pod is not needed"
        return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message=message)
    return _execute(document)


def _execute(document: Mapping[str, Any]) -> Outcome:
    """Run an automation in the main thread: the library limits the time of some steps with SIGALRM.

    The library reads the automation from the server again, and writes the result of each step there.
    """
    target = automation_target(document)
    require_test_connection(document)
    runner = load(_RUNNER, "automations")
    # A workflow sets the level from its configuration. Without a level the log has no steps.
    importlib.import_module("metadata.utils.logger").set_loggers_level("INFO")
    with StartLog.of_the_library() as log:
        try:
            runner.execute(parsed(document))
        except RunError:
            raise
        except Exception as error:
            raise logged(explain_start_failure(error, log, lambda: _check_automation_access(target))) from error
    return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="the connection test was completed")


def parsed(document: Mapping[str, Any]) -> Any:
    """Return the document as the library's model, which rejects unknown fields.

    Raises:
        pydantic.ValidationError, KeyError, ...: It is invalid. If the connection is, the error is that of the model of
            its type.
        RunError: The library does not know the type of the connection.
    """
    known = _known_fields(document, _named(_MODEL), where="")
    connection = _known_fields(document[_CONNECTION], _named(_CONNECTION_MODEL), where=f"{_CONNECTION}.")
    workflow = {**known, _CONNECTION: with_usable_loader(connection)}
    try:
        return _named(_MODEL).model_validate(workflow)
    except ValueError:
        # All sixty connection models report errors: find the model of the type.
        require_source_type(str(workflow["request"]["connection"]["config"]["type"]))
        _named(_PARSER)(workflow)
        raise


def with_usable_loader(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return the server connection with a secrets manager loader that works without Airflow.

    ``airflow`` reads the credentials from Airflow's configuration. Here they come from the environment, if the secrets
    are outside of OpenMetadata's database.
    """
    if connection.get("secretsManagerLoader") != "airflow":
        return dict(connection)
    loader = "noop" if connection.get("secretsManagerProvider") in (None, "db") else "env"
    sys.stdout.write(f"[runner] secretsManagerLoader is airflow, which does not exist here: using {loader}\n")
    return {**connection, "secretsManagerLoader": loader}


def _known_fields(data: Mapping[str, Any], model: Any, *, where: str) -> dict[str, Any]:
    unknown = sorted(key for key in data if key not in model.model_fields)
    if unknown:
        names = ", ".join(f"{where}{key}" for key in unknown)
        sys.stdout.write(f"[runner] ignored fields that this openmetadata-ingestion does not know: {names}\n")
    return {key: value for key, value in data.items() if key in model.model_fields}


def _named(named: tuple[str, str]) -> Any:
    module, name = named
    return getattr(importlib.import_module(module), name)


def _check_automation_access(target: AutomationTarget) -> None:
    ServerClient(target.server, target.token).get("automations", "workflows", target.workflow_id, timeout=10)
