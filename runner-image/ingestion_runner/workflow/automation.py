"""Carrying out an automation: the test of a connection, as the library does it and reports it."""

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
    """Carry out the automation that is mounted. The parent has read the same file, and masks its secrets.

    Raises
    ------
    RunError
        It could not be carried out; the reason tells why.
    """
    return _carry_out(read_document(paths.automation))


def run_warm_automation(run_input: Mapping[str, Any], paths: InputPaths, channel: ChannelWriter) -> Outcome:
    """Import all that an automation needs, wait for one, and carry it out. Nobody gets to know if none comes.

    Raises
    ------
    RunError
        As ``run_automation``.
    """
    seconds = field(run_input, "waitSeconds", (int, float), where=_FILE)
    port = field(run_input, "port", (int,), where=_FILE)
    load(_RUNNER, "automations")
    for named in (_MODEL, _PARSER, _CONNECTION_MODEL):
        _named(named)
    sys.stdout.write(f"[runner] waiting for an automation for up to {seconds} s\n")
    document = wait_for_automation(paths, port, seconds, on_taken=channel.send_automation)
    if document is None:
        message = f"no automation came within {seconds} s: this pod has done its duty"
        return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message=message)
    return _carry_out(document)


def _carry_out(document: Mapping[str, Any]) -> Outcome:
    """The library asks the server for the automation anew, and writes the result of each step there. It bounds some
    steps by SIGALRM, so this must be the main thread.
    """
    target = automation_target(document)
    require_test_connection(document)
    runner = load(_RUNNER, "automations")
    # A workflow sets the level from its configuration; without it the log would not name a single step.
    importlib.import_module("metadata.utils.logger").set_loggers_level("INFO")
    with StartLog.of_the_library() as log:
        try:
            runner.execute(parsed(document))
        except RunError:
            raise
        except Exception as error:
            raise logged(explain_start_failure(error, log, lambda: _ask_for_automation(target))) from error
    return Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="the connection test was carried out")


def parsed(document: Mapping[str, Any]) -> Any:
    """The document as the library's own model, which refuses fields that it does not know.

    Raises
    ------
    pydantic.ValidationError, KeyError, ...
        It does not fit. Where the connection is to blame, the error is that of the model of its type.
    RunError
        The library knows no connection of this type.
    """
    known = _known_fields(document, _named(_MODEL), where="")
    connection = _known_fields(document[_CONNECTION], _named(_CONNECTION_MODEL), where=f"{_CONNECTION}.")
    workflow = {**known, _CONNECTION: with_usable_loader(connection)}
    try:
        return _named(_MODEL).model_validate(workflow)
    except ValueError:
        # All the sixty models of connections have complained: find the one that was meant.
        require_source_type(str(workflow["request"]["connection"]["config"]["type"]))
        _named(_PARSER)(workflow)
        raise


def with_usable_loader(connection: Mapping[str, Any]) -> dict[str, Any]:
    """The server connection with a secrets manager's loader that works without Airflow.

    ``airflow`` reads the credentials from Airflow's configuration; here they come from the environment, if the
    secrets are kept outside of OpenMetadata's database at all.
    """
    if connection.get("secretsManagerLoader") != "airflow":
        return dict(connection)
    loader = "noop" if connection.get("secretsManagerProvider") in (None, "db") else "env"
    sys.stdout.write(f"[runner] secretsManagerLoader is airflow, which is not here: using {loader}\n")
    return {**connection, "secretsManagerLoader": loader}


def _known_fields(data: Mapping[str, Any], model: Any, *, where: str) -> dict[str, Any]:
    unknown = sorted(key for key in data if key not in model.model_fields)
    if unknown:
        names = ", ".join(f"{where}{key}" for key in unknown)
        sys.stdout.write(f"[runner] left out, because this openmetadata-ingestion does not know it: {names}\n")
    return {key: value for key, value in data.items() if key in model.model_fields}


def _named(named: tuple[str, str]) -> Any:
    module, name = named
    return getattr(importlib.import_module(module), name)


def _ask_for_automation(target: AutomationTarget) -> None:
    ServerClient(target.server, target.token).get("automations", "workflows", target.workflow_id, timeout=10)
