import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion_runner.inputs import ReportTarget, Server
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.reporting import Report, report
from runner_testing.child import STEPS
from runner_testing.pod import RUN_ID
from runner_testing.server import RecordingServer

STARTED = datetime.now(UTC)
FAILED = Outcome.failed(Reason.INITIALIZATION_FAILED, "the database is down")
SUCCEEDED = Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="done", steps=STEPS)


def reported(server: RecordingServer, outcome: Outcome, remaining: Callable[[], float] = lambda: 10.0) -> Report:
    target = ReportTarget(Server(host_port=server.host_port), 'shop.a/b "c"', RUN_ID)
    return report(
        target,
        "the-token",
        outcome,
        started=STARTED,
        ended=STARTED + timedelta(seconds=2),
        log_tail="the end",
        remaining=remaining,
    )


def row(state: str, seconds: float = 1) -> dict[str, Any]:
    ended = STARTED + timedelta(seconds=seconds)
    return {"runId": RUN_ID, "pipelineState": state, "endDate": int(ended.timestamp() * 1000)}


@pytest.mark.parametrize("status", [204, 200, 404])
def test_report_writes_the_row_of_an_unknown_run(server: RecordingServer, status: int) -> None:
    server.unknown_run_status = status

    assert reported(server, FAILED) == Report("runner", FAILED)
    assert server.rows[RUN_ID]["status"][0]["failures"][0]["name"] == "InitializationFailed"
    assert server.requested("PUT") == ['/services/ingestionPipelines/shop.a/b "c"/pipelineStatus']


def test_report_closes_a_row_that_was_left_open(server: RecordingServer) -> None:
    server.rows[RUN_ID] = row("running")

    assert reported(server, FAILED).reported_by == "runner"
    assert server.rows[RUN_ID]["pipelineState"] == "failed"


def test_report_leaves_the_workflows_own_row_alone(server: RecordingServer) -> None:
    server.rows[RUN_ID] = row("partialSuccess")

    assert reported(server, FAILED) == Report("workflow", FAILED)
    assert server.requested("PUT") == []


def test_report_replaces_the_row_of_an_earlier_attempt(server: RecordingServer) -> None:
    server.rows[RUN_ID] = row("failed", seconds=-60)

    assert reported(server, SUCCEEDED).reported_by == "runner"
    assert server.rows[RUN_ID]["pipelineState"] == "success"


def test_report_repeats_what_the_workflow_could_not_report(server: RecordingServer) -> None:
    server.rows[RUN_ID] = row("running")

    reported(server, SUCCEEDED)

    assert server.rows[RUN_ID]["status"] == list(STEPS)


@pytest.mark.parametrize("reason", [Reason.INTERRUPTED, Reason.WORKFLOW_CRASHED])
def test_report_believes_a_row_more_than_its_own_guess(server: RecordingServer, reason: Reason) -> None:
    server.rows[RUN_ID] = row("success")

    result = reported(server, Outcome.failed(reason, "ended"))

    assert (result.reported_by, result.outcome.state, result.outcome.reason) == (
        "workflow",
        State.SUCCESS,
        Reason.SUCCEEDED,
    )


def test_report_tries_again_after_a_passing_error(server: RecordingServer) -> None:
    server.faults = [("GET", 503), ("PUT", 500), ("PUT", 500)]

    assert reported(server, FAILED).reported_by == "runner"
    assert len(server.requested("PUT")) == 3


def test_report_fails_at_once_when_it_is_refused(server: RecordingServer) -> None:
    server.faults = [("GET", 401)]

    result = reported(server, FAILED)

    assert result.reported_by == "none"
    assert "401" in (result.problem or "")
    assert len(server.requests) == 1


def test_report_ends_when_its_time_is_up(server: RecordingServer) -> None:
    server.faults = [("GET", 503)] * 100
    ends = time.monotonic() + 1

    result = reported(server, FAILED, remaining=lambda: ends - time.monotonic())

    assert result.reported_by == "none"
    assert time.monotonic() < ends + 1


def test_report_stops_waiting_when_the_pod_has_to_go(server: RecordingServer) -> None:
    server.faults = [("GET", 503)] * 100
    left = iter([10.0, 10.0])

    result = reported(server, FAILED, remaining=lambda: next(left, 0.0))

    assert result.reported_by == "none"
    assert len(server.requests) <= 2


def test_report_survives_a_configuration_that_allows_no_call(server: RecordingServer) -> None:
    target = ReportTarget(Server(host_port=server.host_port, extra_headers={"X": "100%"}), "shop.nightly", RUN_ID)

    result = report(target, None, FAILED, started=STARTED, ended=STARTED, log_tail="", remaining=lambda: 10.0)

    assert result.reported_by == "none"
