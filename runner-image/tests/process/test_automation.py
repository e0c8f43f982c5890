"""The parent of an automation's pod: whatever becomes of the child, the dialog in OpenMetadata gets its answer."""

import signal
from typing import Any

import pytest

from ingestion_runner.supervisor import AUTOMATION_FORCE_KILL_AFTER_SECONDS, REPORT_SECONDS_AFTER_STOP
from runner_testing.child import PASSWORD
from runner_testing.pod import RUN_ID, WORKFLOW_ID, Pod, automation_document, server_connection, without_times
from runner_testing.server import RecordingServer, Request

PARENT = "runner_testing.parent"


@pytest.fixture
def automation(server: RecordingServer) -> dict[str, Any]:
    """The automation as the server has it."""
    automation: dict[str, Any] = {**automation_document(server.host_port), "status": "Pending"}
    server.workflows[WORKFLOW_ID] = automation
    return automation


@pytest.fixture
def pod(pod: Pod, server: RecordingServer) -> Pod:
    """A pod for that automation. It has no token but the one in the document."""
    pod.mount_automation(automation_document(server.host_port))
    (pod.root / "token" / "token").unlink()
    return pod


def executed(pod: Pod, *command: str) -> tuple[int, dict[str, Any], str]:
    with pod.start(*command) as parent:
        return parent.wait(), parent.summary(), parent.log


@pytest.mark.parametrize(
    ("behaviour", "exit_code", "reason"),
    [
        ("fail_to_start", 1, "InitializationFailed"),
        ("have_a_wrong_configuration", 2, "InvalidConfiguration"),
        ("crash", 1, "WorkflowCrashed"),
        ("end_without_outcome", 1, "WorkflowCrashed"),
        ("be_killed", 137, "OutOfMemory"),
        ("succeed", 1, "WorkflowFailed"),
    ],
)
def test_parent_closes_an_automation_that_the_child_left_open(
    pod: Pod, automation: dict[str, Any], *, behaviour: str, exit_code: int, reason: str
) -> None:
    code, summary, _ = executed(pod, PARENT, behaviour)

    assert (code, summary["state"], summary["reason"]) == (exit_code, "failed", reason)
    assert (summary["runId"], summary["reportedBy"]) == (RUN_ID, "runner")
    assert (automation["status"], automation["response"]["status"]) == ("Failed", "Failed")
    assert automation["response"]["steps"][0]["message"] == summary["message"]


def test_parent_reports_the_result_that_the_library_has_stored(pod: Pod, automation: dict[str, Any]) -> None:
    automation |= {"status": "Successful", "response": {"status": "Successful", "steps": []}}

    exit_code, summary, _ = executed(pod, PARENT, "succeed")

    assert exit_code == 0
    assert without_times(summary) == {
        "version": 1,
        "runId": RUN_ID,
        "state": "success",
        "reason": "Succeeded",
        "message": "the connection test passed",
        "reportedBy": "workflow",
    }


def test_parent_uses_the_token_and_does_not_show_it(
    pod: Pod, server: RecordingServer, automation: dict[str, Any]
) -> None:
    connection = server_connection(server.host_port, securityConfig={"jwtToken": PASSWORD})
    pod.mount_automation(automation_document(server.host_port, openMetadataServerConnection=connection))

    _, summary, log = executed(pod, PARENT, "print_the_password")

    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {PASSWORD}"}
    assert PASSWORD not in log + str(summary) + str(automation["response"])
    assert "connecting with ********" in log
    assert "connecting with ********" in automation["response"]["steps"][0]["errorLog"]


@pytest.mark.parametrize("behaviour", ["work_until_stopped", "ignore_the_stop"])
def test_parent_closes_the_automation_when_its_time_is_up(
    pod: Pod, automation: dict[str, Any], *, behaviour: str
) -> None:
    with pod.start(PARENT, behaviour) as parent:
        parent.wait_for_line("ready")
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    assert exit_code == 143
    summary = parent.summary()
    assert (summary["state"], summary["reason"], summary["reportedBy"]) == ("failed", "Interrupted", "runner")
    assert "provisional" not in summary
    assert automation["status"] == "Failed"
    assert "its time was up" in automation["response"]["steps"][0]["message"]


def test_parent_of_an_automation_ends_within_the_grace_period(
    pod: Pod, server: RecordingServer, automation: dict[str, Any]
) -> None:
    server.faults = [("GET", 503)] * 100
    with pod.start(PARENT, "crash") as parent:

        def stop(_: Request) -> None:
            parent.process.send_signal(signal.SIGTERM)

        server.on_request = stop
        exit_code = parent.wait()

    assert exit_code == 1
    assert parent.summary()["reportedBy"] == "none"
    assert "could not be closed in OpenMetadata" in parent.log
    assert automation["status"] == "Pending"


def test_automation_is_closed_before_the_dialog_times_out() -> None:
    deadline, dialog = 110, 120
    closed_at = deadline + AUTOMATION_FORCE_KILL_AFTER_SECONDS + REPORT_SECONDS_AFTER_STOP

    assert closed_at <= dialog


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workflowType": "QUERY_RUNNER"}, "QUERY_RUNNER"),
        ({"name": None}, "automation: name is missing"),
    ],
)
def test_parent_closes_an_automation_that_it_cannot_start(
    pod: Pod, server: RecordingServer, automation: dict[str, Any], *, changes: dict[str, Any], words: str
) -> None:
    pod.mount_automation(automation_document(server.host_port, **changes))

    exit_code, summary, _ = executed(pod, PARENT, "succeed")

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (2, "InvalidConfiguration", "runner")
    assert words in automation["response"]["steps"][0]["message"]


@pytest.mark.parametrize(("document", "words"), [("{", "is not valid JSON"), ("{}", "openMetadataServerConnection")])
def test_parent_reports_an_unknown_automation(pod: Pod, server: RecordingServer, document: str, words: str) -> None:
    pod.mount_automation(document)

    exit_code, summary, _ = executed(pod, PARENT, "succeed")

    assert (exit_code, summary["reason"], summary["reportedBy"]) == (2, "InvalidConfiguration", "none")
    assert words in summary["message"]
    assert server.requests == []


def test_child_of_an_automation_needs_the_library(pod: Pod, automation: dict[str, Any]) -> None:
    """The library is missing here, so the test ends where it would be loaded, and the dialog gets the result."""
    exit_code, summary, _ = executed(pod, "ingestion_runner")

    assert exit_code == 1
    assert "openmetadata-ingestion" in summary["message"]
    assert automation["status"] == "Failed"
