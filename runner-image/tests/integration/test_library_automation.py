"""What the runner takes for granted of openmetadata-ingestion where it tests a connection."""

import importlib

import pytest
from metadata.generated.schema.entity.automations.workflow import Workflow
from metadata.ingestion.api.parser import ParsingConfigurationError
from pydantic import ValidationError

from ingestion_runner.automation_status import closing_patch
from ingestion_runner.outcomes import Outcome, Reason, RunError
from ingestion_runner.workflow.automation import parsed
from ingestion_runner.workflow.failures import StartLog, explain_start_failure
from runner_testing.pod import TOKEN, WORKFLOW_ID, automation_document, server_connection

HOST_PORT = "http://openmetadata:8585/api"


def test_automation_is_what_the_server_sent() -> None:
    automation = parsed(automation_document(HOST_PORT))

    assert str(automation.id.root) == WORKFLOW_ID
    assert automation.openMetadataServerConnection.securityConfig.jwtToken.get_secret_value() == TOKEN


def test_automation_of_a_newer_server_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    server = server_connection(HOST_PORT, inventedHere=1)

    parsed(automation_document(HOST_PORT, openMetadataServerConnection=server, inventedToo=[]))

    log = capsys.readouterr().out
    assert "openMetadataServerConnection.inventedHere" in log
    assert "inventedToo" in log


@pytest.mark.parametrize(
    ("provider", "given", "used"),
    [("db", "airflow", "noop"), ("aws", "airflow", "env"), ("aws", "noop", "noop"), ("db", "env", "env")],
)
def test_automation_reads_no_credentials_from_airflow(provider: str, given: str, used: str) -> None:
    server = server_connection(HOST_PORT, secretsManagerProvider=provider, secretsManagerLoader=given)

    automation = parsed(automation_document(HOST_PORT, openMetadataServerConnection=server))

    assert automation.openMetadataServerConnection.secretsManagerLoader.value == used


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("connection", "config", "database"), ["hunter2"], "invalid PostgresConnection: database: Input should be"),
        (("connection", "config", "invented"), "hunter2", "invalid PostgresConnection: invented: Extra inputs"),
        (("serviceType",), ["hunter2"], "invalid Workflow: request.TestServiceConnectionRequest.serviceType: "),
        ((), None, "invalid Workflow: request: Field required"),
    ],
)
def test_invalid_automation_is_explained_without_its_value(path: tuple[str, ...], value: object, message: str) -> None:
    request = automation_document(HOST_PORT)["request"]
    changed = request
    for name in path[:-1]:
        changed = changed[name]
    changed |= {path[-1]: value} if path else {}

    with pytest.raises((ValidationError, ParsingConfigurationError, KeyError)) as raised:
        parsed(automation_document(HOST_PORT, request=request if path else None))
    failure = explain_start_failure(raised.value, StartLog(), check_server=lambda: None)

    assert failure.reason is Reason.INVALID_CONFIGURATION
    assert failure.message.startswith(message)
    assert "hunter2" not in failure.message


def test_automation_for_an_unknown_type_is_explained_by_the_type() -> None:
    request = automation_document(HOST_PORT)["request"]
    request["connection"]["config"]["type"] = "Nonsense"

    with pytest.raises(RunError, match="'Nonsense'") as refused:
        parsed(automation_document(HOST_PORT, request=request))

    assert refused.value.reason is Reason.UNKNOWN_SOURCE_TYPE


@pytest.mark.parametrize("log_tail", ["", "the end"])
def test_closed_automation_is_valid(log_tail: str) -> None:
    automation = automation_document(HOST_PORT)
    patch = closing_patch(
        automation,
        Outcome.failed(Reason.INTERRUPTED, "asked to stop"),
        step_names=[],
        started=1,
        ended=2,
        log_tail=log_tail,
    )

    closed = Workflow.model_validate(automation | {part["path"].removeprefix("/"): part["value"] for part in patch})

    assert (closed.status.value, closed.response.status.value) == ("Failed", "Failed")
    assert closed.response.steps[0].passed is False


def test_automation_has_the_entry_that_the_runner_calls() -> None:
    assert callable(importlib.import_module("metadata.automations.execute_runner").execute)
