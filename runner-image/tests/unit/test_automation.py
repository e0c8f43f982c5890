from typing import Any

import pytest

from ingestion_runner.automation import AutomationTarget, automation_target, require_test_connection
from ingestion_runner.inputs import Server
from ingestion_runner.masking import secrets_of
from ingestion_runner.outcomes import ConfigurationError
from runner_testing.pod import TOKEN, WORKFLOW_ID, automation_document, server_connection

HOST_PORT = "http://openmetadata:8585/api"


def test_target_is_read_from_what_the_server_sends() -> None:
    document = automation_document(HOST_PORT, somethingNew={"a": 1})

    assert automation_target(document) == AutomationTarget(Server(HOST_PORT), TOKEN, WORKFLOW_ID)


def test_target_takes_the_servers_tls_and_headers() -> None:
    connection = server_connection(
        "https://om/api/",
        verifySSL="validate",
        sslConfig={"caCertificate": "/ca.pem"},
        extraHeaders={"X-Team": "data"},
        securityConfig=None,
    )

    target = automation_target(automation_document(HOST_PORT, openMetadataServerConnection=connection))

    assert target.server == Server("https://om/api", "validate", "/ca.pem", {"X-Team": "data"})
    assert target.token is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": None}, "automation: id is missing"),
        ({"openMetadataServerConnection": None}, "automation: openMetadataServerConnection is missing"),
        ({"openMetadataServerConnection": {}}, r"openMetadataServerConnection\.hostPort is missing"),
        (
            {"openMetadataServerConnection": {"hostPort": HOST_PORT, "securityConfig": {"jwtToken": 1}}},
            r"securityConfig\.jwtToken must be a string",
        ),
    ],
)
def test_target_names_the_field_that_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        automation_target(automation_document(HOST_PORT, **changes))


def test_connection_test_is_executed() -> None:
    require_test_connection(automation_document(HOST_PORT))


@pytest.mark.parametrize("workflow_type", ["REVERSE_INGESTION", "QUERY_RUNNER", "TEST_SPARK_ENGINE_CONNECTION"])
def test_automation_without_open_code_is_rejected(workflow_type: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{workflow_type}.*only for TEST_CONNECTION"):
        require_test_connection(automation_document(HOST_PORT, workflowType=workflow_type))


@pytest.mark.parametrize("name", ["name", "workflowType"])
def test_automation_without_a_required_field_is_rejected(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        require_test_connection(automation_document(HOST_PORT, **{name: None}))


def test_token_and_passwords_are_secrets() -> None:
    assert set(secrets_of(automation_document(HOST_PORT))) == {TOKEN, "shop-password"}
