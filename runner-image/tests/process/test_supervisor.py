"""The real parent as a process over real signals, pipes and HTTP; only the workflow is a stand-in."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner_testing.child import PASSWORD
from runner_testing.pod import RUN_ID, WAIT_SECONDS, Pod, RunningParent, pipeline_document, without_times
from runner_testing.server import RecordingServer, Request

PARENT = "runner_testing.parent"


def state_of(pid: int) -> str | None:
    """The letter of a process's state, Z for a zombie; None when it is gone without a trace."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while state_of(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} is still there: {state_of(pid)}"
        time.sleep(0.01)


def run(pod: Pod, behaviour: str) -> tuple[int, RunningParent]:
    with pod.start(PARENT, behaviour) as parent:
        return parent.wait(), parent


def test_parent_reports_success_for_the_workflow(pod: Pod, server: RecordingServer) -> None:
    exit_code, parent = run(pod, "succeed")

    assert exit_code == 0
    assert without_times(parent.summary()) == {
        "version": 1,
        "runId": RUN_ID,
        "state": "success",
        "reason": "Succeeded",
        "message": "as ordered",
        "records": 7,
        "warnings": 1,
        "errors": 0,
        "reportedBy": "runner",
    }
    assert server.rows[RUN_ID]["pipelineState"] == "success"
    assert server.requests[0].headers["authorization"] == "Bearer the-bots-token"


def test_parent_reports_the_peak_memory_of_the_workflow(pod: Pod) -> None:
    _, parent = run(pod, "use_much_memory")

    assert 100 * 2**20 < parent.summary()["peakMemory"] < 200 * 2**20
    assert f"the workflow had at most {parent.summary()['peakMemory'] // 2**20} MiB of memory" in parent.log


@pytest.mark.parametrize(
    ("behaviour", "exit_code", "state", "reason"),
    [
        ("succeed_in_part", 0, "partialSuccess", "PartiallySucceeded"),
        ("fail_to_start", 1, "failed", "InitializationFailed"),
        ("have_a_wrong_configuration", 2, "failed", "InvalidConfiguration"),
        ("crash", 1, "failed", "WorkflowCrashed"),
        ("end_without_outcome", 1, "failed", "WorkflowCrashed"),
    ],
)
def test_parent_reports_each_end_of_the_child(
    pod: Pod, server: RecordingServer, *, behaviour: str, exit_code: int, state: str, reason: str
) -> None:
    code, parent = run(pod, behaviour)

    assert (code, parent.summary()["state"], parent.summary()["reason"]) == (exit_code, state, reason)
    assert parent.summary()["reportedBy"] == "runner"
    assert server.rows[RUN_ID]["pipelineState"] == state


def test_parent_leaves_a_row_that_the_workflow_has_closed(pod: Pod, server: RecordingServer) -> None:
    ended = datetime.now(UTC) + timedelta(minutes=1)
    row = {"runId": RUN_ID, "pipelineState": "success", "endDate": int(ended.timestamp() * 1000)}
    server.rows[RUN_ID] = row

    exit_code, parent = run(pod, "succeed")

    assert exit_code == 0
    assert parent.summary()["reportedBy"] == "workflow"
    assert server.rows[RUN_ID] is row


def test_parent_puts_the_end_of_the_log_into_the_row(pod: Pod, server: RecordingServer) -> None:
    run(pod, "fail_to_start")

    failure = server.rows[RUN_ID]["status"][0]["failures"][0]
    assert failure["error"] == "the database is down"
    assert failure["stackTrace"] == "Traceback (most recent call last):\n  the cause"


def test_parent_masks_secrets_in_the_log_the_row_and_the_summary(pod: Pod, server: RecordingServer) -> None:
    _, parent = run(pod, "leak")

    assert "connecting with ********" in parent.log
    assert "failed with ********" in parent.log
    assert parent.summary()["message"] == "******** was refused"
    assert PASSWORD not in parent.log + str(parent.summary()) + str(server.rows)


def test_parent_stops_and_reports_provisionally_on_sigterm(pod: Pod, server: RecordingServer) -> None:
    with pod.start(PARENT, "work_until_stopped") as parent:
        parent.wait_for_line("ready")
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    assert exit_code == 143
    summary = parent.summary()
    assert (summary["state"], summary["reason"], summary["provisional"]) == ("failed", "Interrupted", True)
    assert summary["reportedBy"] == "runner"
    step = server.rows[RUN_ID]["status"][0]
    assert (step["name"], step["failures"][0]["name"]) == ("Runner", "Interrupted")


def test_parent_kills_a_child_that_ignores_the_stop(pod: Pod, server: RecordingServer) -> None:
    pod.mount(pipeline_document(server.host_port, forceKillAfterSeconds=0.5))

    with pod.start(PARENT, "ignore_the_stop") as parent:
        parent.wait_for_line("ready")
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    assert exit_code == 143
    assert parent.summary()["reason"] == "Interrupted"


def test_parent_keeps_an_outcome_reported_during_the_stop(pod: Pod, server: RecordingServer) -> None:
    with pod.start(PARENT, "report_success_when_stopped") as parent:
        parent.wait_for_line("ready")
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    assert exit_code == 0
    assert server.rows[RUN_ID]["pipelineState"] == "success"


def test_parent_keeps_a_row_closed_before_the_stop(pod: Pod, server: RecordingServer) -> None:
    with pod.start(PARENT, "work_until_stopped") as parent:
        parent.wait_for_line("ready")
        now = int(datetime.now(UTC).timestamp() * 1000)
        server.rows[RUN_ID] = {"runId": RUN_ID, "pipelineState": "success", "endDate": now}
        parent.process.send_signal(signal.SIGTERM)
        exit_code = parent.wait()

    assert exit_code == 0
    assert without_times(parent.summary())["reportedBy"] == "workflow"
    assert "provisional" not in parent.summary()


def test_parent_ends_in_time_when_it_is_stopped_while_reporting(pod: Pod, server: RecordingServer) -> None:
    server.faults = [("PUT", 503)] * 100
    with pod.start(PARENT, "succeed") as parent:

        def stop(request: Request) -> None:
            if request.method == "PUT":
                parent.process.send_signal(signal.SIGTERM)

        server.on_request = stop
        exit_code = parent.wait()

    assert exit_code == 0
    assert parent.summary()["reportedBy"] == "none"


def test_parent_leaves_a_killed_child_to_the_operator(pod: Pod, server: RecordingServer) -> None:
    exit_code, parent = run(pod, "be_killed")

    assert exit_code == 137
    summary = parent.summary()
    assert (summary["state"], summary["reason"], summary["reportedBy"]) == ("failed", "OutOfMemory", "none")
    assert server.requests == []


def test_parent_does_not_wait_for_what_the_child_leaves_behind(pod: Pod) -> None:
    exit_code, parent = run(pod, "leave_a_process_behind")

    assert exit_code == 0
    left = int(parent.wait_for_line("left").split()[1])
    assert state_of(left) in (None, "Z")


def test_parent_reaps_orphans(pod: Pod) -> None:
    with pod.start(PARENT, "leave_an_orphan") as parent:
        orphan = int(parent.wait_for_line("orphan").split()[1])
        wait_until_gone(orphan)

        assert parent.process.poll() is None


def test_parent_refuses_to_start_outside_the_schedule(pod: Pod, server: RecordingServer) -> None:
    pod.mount(pipeline_document(server.host_port, endDate="2020-01-01T00:00:00Z"))

    exit_code, parent = run(pod, "succeed")

    assert exit_code == 3
    summary = parent.summary()
    assert (summary["state"], summary["reason"], summary["reportedBy"]) == (
        "stopped",
        "OutsideSchedule",
        "none",
    )
    assert server.requests == []


def test_parent_reports_a_wrong_run_input_as_far_as_it_can(pod: Pod, server: RecordingServer) -> None:
    pod.mount(pipeline_document(server.host_port, service=None))

    exit_code, parent = run(pod, "succeed")

    assert exit_code == 2
    assert parent.summary()["message"] == "pipeline.json: service is missing"
    assert server.rows[RUN_ID]["status"][0]["failures"][0]["name"] == "InvalidConfiguration"


def test_parent_refuses_a_run_id_that_is_not_a_uuid(pod: Pod, server: RecordingServer) -> None:
    pod.environ["RUN_ID"] = "nightly"

    exit_code, parent = run(pod, "succeed")

    assert exit_code == 2
    assert parent.summary()["reportedBy"] == "none"
    assert "runId" not in parent.summary()
    assert server.requests == []


def test_parent_runs_without_token_and_message_file(pod: Pod, server: RecordingServer) -> None:
    (pod.root / "token" / "token").unlink()
    pod.environ["TERMINATION_LOG"] = str(pod.root / "missing" / "log")

    exit_code, parent = run(pod, "succeed")

    assert exit_code == 0
    assert "authorization" not in server.requests[0].headers
    assert "the termination message could not be written" in parent.log


def test_parent_stays_light(pod: Pod) -> None:
    """While the workflow runs, the parent holds neither the library nor an HTTP client, and little memory."""
    with pod.start(PARENT, "work_until_stopped") as parent:
        parent.wait_for_line("ready")
        maps = Path(f"/proc/{parent.process.pid}/maps").read_text()
        pages = int(Path(f"/proc/{parent.process.pid}/statm").read_text().split()[1])

    assert "libssl" not in maps
    assert "yaml" not in maps
    assert pages * os.sysconf("SC_PAGE_SIZE") < 32 * 2**20


def test_child_refuses_an_unsupported_type_without_the_library(pod: Pod, server: RecordingServer) -> None:
    pod.mount(pipeline_document(server.host_port, pipelineType="dataInsight"))

    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert exit_code == 2
    assert parent.summary()["reason"] == "UnsupportedPipelineType"
    assert "metadata" in parent.summary()["message"]


def test_child_masks_the_connection_that_the_server_gives_out(pod: Pod, server: RecordingServer) -> None:
    """The library is missing here, so the run ends where it would be loaded: after the secrets are reported."""
    server.services["shop"] = {
        "serviceType": "Postgres",
        "connection": {"config": {"authType": {"password": PASSWORD}}},
    }
    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert exit_code == 1
    assert server.requested("GET")[0] == "/services/databaseServices/name/shop"
    assert PASSWORD not in parent.log


@pytest.mark.parametrize(("status", "reason"), [(401, "Unauthorized"), (403, "Forbidden")])
def test_child_reports_that_the_server_refuses_the_token(
    pod: Pod, server: RecordingServer, status: int, reason: str
) -> None:
    server.faults = [("GET", status)]

    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert (exit_code, parent.summary()["reason"]) == (1, reason)


def test_child_reports_that_the_service_is_unknown(pod: Pod, server: RecordingServer) -> None:
    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert (exit_code, parent.summary()["reason"]) == (1, "ServiceNotFound")
    assert server.rows[RUN_ID]["pipelineState"] == "failed"


def test_child_reports_a_missing_source_configuration(pod: Pod, server: RecordingServer) -> None:
    pod.mount(pipeline_document(server.host_port, sourceConfig=None))

    with pod.start("ingestion_runner") as parent:
        exit_code = parent.wait()

    assert (exit_code, parent.summary()["reason"]) == (2, "InvalidConfiguration")
    assert "sourceConfig" in parent.summary()["message"]
