"""Tests of connections as a pod carries them out: real library, real PostgreSQL, a fake OpenMetadata server."""

import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ingestion_operator.adapters.warm_pod_tls import WarmPodTls
from runner_testing.pod import TOKEN, Pod, server_connection
from testing.fake_openmetadata_client import FakeServerClient
from testing.postgres.process import Postgres, connection
from testing.waiting import wait_for
from tests.integration.runner.conftest import VERSION

pytestmark = pytest.mark.timeout(1500)  # the first one makes the environment

NAME = "test-connection-Postgres-a1b2c3"
DEFINITION = "/services/testConnectionDefinitions/"


def mount(pod: Pod, fake_server: FakeServerClient, tested: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Create the automation as the dialog does, and mount what the server then sends."""
    request = {
        "connection": tested,
        "serviceType": "Database",
        "connectionType": tested["config"]["type"],
        "secretsManagerProvider": "db",
    }
    entity = fake_server.register_automation(NAME, request)
    document = {**entity, "openMetadataServerConnection": server_connection(fake_server.host_port), **changes}
    pod.mount_automation(document)
    fake_server.clear_calls()
    return document


def executed(pod: Pod) -> tuple[int, dict[str, Any], str]:
    with pod.start("ingestion_runner") as parent:
        return parent.wait(), parent.summary(), parent.log


def statuses(automation: dict[str, Any]) -> list[str]:
    """Each status once, in the order in which it was written."""
    return list(dict.fromkeys(version["status"] for version in automation["history"]))


def test_a_good_connection_passes(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    mount(pod, fake_server, postgres.connection)

    exit_code, summary, log = executed(pod)

    automation = fake_server.automation(NAME)
    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    assert summary["message"].startswith("the connection test passed")
    assert statuses(automation) == ["Pending", "Running", "Successful"]
    assert automation["response"]["status"] == "Successful"
    assert {step["name"] for step in automation["response"]["steps"] if step["passed"]} >= {"CheckAccess", "GetTables"}
    assert fake_server.calls(invalid=True) == []
    assert fake_server.calls(unknown=True) == []
    assert TOKEN not in log
    assert postgres.password not in log


def test_a_wrong_password_fails_the_test_and_not_the_run(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    wrong = "not-the-password"
    mount(pod, fake_server, connection(f"{postgres.host}:{postgres.port}", wrong))

    exit_code, summary, log = executed(pod)

    automation = fake_server.automation(NAME)
    assert (exit_code, summary["state"], summary["reportedBy"]) == (0, "success", "workflow"), log
    assert "the connection test failed: CheckAccess" in summary["message"]
    assert "password authentication failed" in summary["message"]
    assert "password authentication failed" in log
    # Before 2.0 the library calls the automation itself successful, once the test was executed.
    status = "Successful" if VERSION.startswith("1.") else "Failed"
    assert (automation["status"], automation["response"]["status"]) == (status, "Failed")
    assert [step["passed"] for step in automation["response"]["steps"] if step["name"] == "CheckAccess"] == [False]
    assert wrong not in log


def test_additional_fields_of_the_server_are_accepted(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    server = server_connection(fake_server.host_port, secretsManagerLoader="airflow", somethingNew=True)
    mount(pod, fake_server, postgres.connection, invented={"a": 1}, openMetadataServerConnection=server)

    exit_code, _, log = executed(pod)

    assert exit_code == 0, log
    assert "does not know: invented" in log
    assert "does not know: openMetadataServerConnection.somethingNew" in log
    assert "secretsManagerLoader is airflow, which does not exist here: using noop" in log


def test_a_failure_before_the_first_step_is_in_that_step(pod: Pod, fake_server: FakeServerClient) -> None:
    snowflake = {"type": "Snowflake", "username": "u", "password": "p-of-snowflake", "account": "a", "warehouse": "w"}
    mount(pod, fake_server, {"config": snowflake})

    exit_code, summary, log = executed(pod)

    automation = fake_server.automation(NAME)
    assert (exit_code, summary["state"], summary["reason"]) == (2, "failed", "MissingPlugin"), log
    assert summary["reportedBy"] == "runner"
    assert statuses(automation) == ["Pending", "Failed"]
    (step,) = automation["response"]["steps"]
    assert (step["name"], step["mandatory"], step["passed"]) == ("CheckAccess", True, False)
    assert step["message"] == summary["message"]
    assert "Traceback" in step["errorLog"]
    assert "p-of-snowflake" not in log + str(step)


def test_a_failure_without_a_reason_gets_one(pod: Pod, fake_server: FakeServerClient, postgres: Postgres) -> None:
    mount(pod, fake_server, postgres.connection)
    fake_server.set_faults({"method": "GET", "path": DEFINITION, "status": 404, "message": "no such definition"})

    exit_code, summary, log = executed(pod)

    automation = fake_server.automation(NAME)
    assert (exit_code, summary["state"], summary["reportedBy"]) == (1, "failed", "runner"), log
    assert automation["status"] == "Failed"
    assert "definition" in automation["response"]["steps"][0]["message"]


def test_an_invalid_connection_is_a_configuration_error(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    document = mount(pod, fake_server, postgres.connection)
    config = {**postgres.connection["config"], "database": ["s3cr3t-and-wrong"]}
    pod.mount_automation({**document, "request": {**document["request"], "connection": {"config": config}}})

    exit_code, summary, log = executed(pod)

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (2, "InvalidConfiguration", "runner"), log
    assert "database" in summary["message"]
    assert "s3cr3t-and-wrong" not in log
    assert fake_server.automation(NAME)["status"] == "Failed"


def test_a_token_that_the_server_refuses_is_reported(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    server = server_connection(fake_server.host_port, securityConfig={"jwtToken": "another-token"})
    mount(pod, fake_server, postgres.connection, openMetadataServerConnection=server)

    exit_code, summary, log = executed(pod)

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (1, "Unauthorized", "none"), log


def test_a_warm_pod_has_loaded_the_library_before_a_test(
    pod: Pod, fake_server: FakeServerClient, postgres: Postgres
) -> None:
    document = mount(pod, fake_server, postgres.connection)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gateway = WarmPodTls(port)
    credentials = gateway.credentials("warm")
    pod.mount_handover(credentials, port=port, seconds=60)

    with pod.start("ingestion_runner") as parent:
        parent.wait_for_line("[runner] waiting for an automation")
        assert fake_server.calls() == []
        wait_for(
            "the port",
            lambda: gateway.send("127.0.0.1", "warm", credentials, json.dumps(document)) == "taken",
            timeout=10,
        )
        exit_code = parent.wait()

    assert exit_code == 0, parent.log
    assert statuses(fake_server.automation(NAME)) == ["Pending", "Running", "Successful"]
    assert parent.summary()["message"].startswith("the connection test passed")
    assert parent.log.index("[runner] loaded in") < parent.log.index("[runner] waiting for an automation")
    assert TOKEN not in parent.log
    assert postgres.password not in parent.log


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a database that takes connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(VERSION.startswith("1."), reason="before 2.0 it asks for the definition after it has the database")
def test_a_test_that_hangs_is_closed_when_its_time_is_up(pod: Pod, fake_server: FakeServerClient, silent: int) -> None:
    mount(pod, fake_server, connection(f"127.0.0.1:{silent}", "a-password"))

    with pod.start("ingestion_runner") as parent:
        wait_for("the test to begin", lambda: fake_server.calls(path=DEFINITION), timeout=60)
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    automation = fake_server.automation(NAME)
    assert (exit_code, parent.summary()["reason"]) == (143, "Interrupted"), parent.log
    assert statuses(automation) == ["Pending", "Failed"]
    assert "its time was up" in automation["response"]["steps"][0]["message"]
