import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion_runner.automation import AutomationTarget
from ingestion_runner.automation_reporting import close_automation
from ingestion_runner.inputs import Server
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.reporting import Report
from runner_testing.pod import WORKFLOW_ID, automation_document
from runner_testing.server import RecordingServer

STARTED = datetime.now(UTC)
FAILED = Outcome.failed(Reason.WORKFLOW_CRASHED, "it crashed")
EXECUTED = Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="the connection test was executed")


@pytest.fixture
def automation(server: RecordingServer) -> dict[str, Any]:
    """An automation that the server knows and has just started."""
    automation: dict[str, Any] = {**automation_document(server.host_port), "status": "Pending"}
    server.workflows[WORKFLOW_ID] = automation
    return automation


def reported(server: RecordingServer, outcome: Outcome, remaining: Callable[[], float] = lambda: 10.0) -> Report:
    return close_automation(
        AutomationTarget(Server(host_port=server.host_port), "the-token", WORKFLOW_ID),
        outcome,
        started=STARTED,
        ended=STARTED + timedelta(seconds=2),
        log_tail="the end",
        remaining=remaining,
    )


def test_closing_reports_the_reason_in_a_defined_step(server: RecordingServer, automation: dict[str, Any]) -> None:
    server.definitions["Postgres.testConnectionDefinition"] = {"steps": [{"name": "Connect"}]}

    assert reported(server, FAILED) == Report("runner", FAILED)
    assert automation["status"] == "Failed"
    assert automation["response"]["steps"] == [
        {"name": "Connect", "mandatory": True, "passed": False, "message": "it crashed", "errorLog": "the end"}
    ]
    assert server.requests[0].headers["authorization"] == "Bearer the-token"


def test_closing_does_without_the_definition(server: RecordingServer, automation: dict[str, Any]) -> None:
    assert reported(server, FAILED).reported_by == "runner"
    assert automation["response"]["steps"][0]["name"] == "CheckAccess"


def test_closing_leaves_the_result_of_the_library(server: RecordingServer, automation: dict[str, Any]) -> None:
    automation |= {"status": "Successful", "response": {"status": "Successful", "steps": [{"name": "CheckAccess"}]}}

    result = reported(server, FAILED)

    assert (result.reported_by, result.outcome.state) == ("workflow", State.SUCCESS)
    assert result.outcome.message == "the connection test passed"
    assert server.requested("PATCH") == []


def test_closing_reports_that_a_result_did_not_arrive(server: RecordingServer, automation: dict[str, Any]) -> None:
    automation["status"] = "Running"

    result = reported(server, EXECUTED)

    assert (result.reported_by, result.outcome.reason) == ("runner", Reason.WORKFLOW_FAILED)
    assert "did not reach OpenMetadata" in automation["response"]["steps"][0]["message"]


def test_closing_tries_again_after_a_passing_error(server: RecordingServer, automation: dict[str, Any]) -> None:
    server.faults = [("GET", 503), ("PATCH", 500), ("PATCH", 500)]

    assert reported(server, FAILED).reported_by == "runner"
    assert automation["status"] == "Failed"


@pytest.mark.parametrize(
    ("outcome", "reported_by", "state"), [(EXECUTED, "workflow", State.SUCCESS), (FAILED, "none", State.FAILED)]
)
def test_automation_that_is_deleted_needs_no_closing(
    server: RecordingServer, outcome: Outcome, reported_by: str, state: State
) -> None:
    result = reported(server, outcome)

    assert (result.reported_by, result.outcome.state) == (reported_by, state)
    assert len(server.requests) == 1


def test_closing_ends_when_its_time_is_up(server: RecordingServer, automation: dict[str, Any]) -> None:
    server.faults = [("PATCH", 503)] * 100
    ends = time.monotonic() + 1

    result = reported(server, FAILED, remaining=lambda: ends - time.monotonic())

    assert result.reported_by == "none"
    assert automation["status"] == "Pending"
    assert time.monotonic() < ends + 1


def test_unconfirmed_success_is_a_failure(server: RecordingServer) -> None:
    server.faults = [("GET", 401)]

    result = reported(server, EXECUTED)

    assert (result.reported_by, result.outcome.reason) == ("none", Reason.UNAUTHORIZED)
    assert "401" in (result.problem or "")
