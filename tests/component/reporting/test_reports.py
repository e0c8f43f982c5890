"""Reports to OpenMetadata within reconciliations: what is read and written, when, and what the status has of it."""

import json
from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Invalid, NotFound
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_sink import FakeSink
from testing.objects import NAMESPACE, Body, at, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import PROVISIONAL, RUN, STATUS, only_run, reason, reconcile, reported, row


def test_a_run_out_of_memory_is_reported_at_once(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, logs: FakeLogs
) -> None:
    logs.texts["nightly-1-a"] = b"first\nlast words\n"
    sink.rows[RUN] = row("running")
    reconcile(reconciling)
    (step,) = sink.rows[RUN]["status"]
    assert sink.rows[RUN]["pipelineState"] == "failed"
    assert step["failures"][0]["name"] == "OutOfMemory"
    assert step["failures"][0]["stackTrace"] == "first\nlast words"
    assert (only_run(ended).report, reason(ended)) == ("Done", "AllReported")
    assert sink.calls == [("read", "shop.nightly", RUN), ("write", "shop.nightly", RUN)]


def test_a_due_report_is_recorded_before_the_server_is_called(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    seen: list[tuple[str | None, str | None]] = []
    sink.before_call = lambda: seen.append((only_run(ended).report, reason(ended)))
    reconcile(reconciling)
    assert seen == [("Pending", None)] * 2
    assert ended.writes.count(STATUS) == 2


def test_a_second_reconciliation_neither_calls_nor_writes(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    reconcile(reconciling)
    ended.calls.clear()
    sink.calls.clear()
    reconcile(reconciling)
    assert (ended.writes, sink.calls) == ([], [])


@pytest.mark.parametrize("state", ["success", "partialSuccess", "failed"])
def test_a_runner_that_has_read_the_row_saves_request_and_write(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, state: str
) -> None:
    message = json.dumps({"version": 1, "state": state, "reason": "R", "reportedBy": "workflow"})
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    cluster.calls.clear()
    cluster.put(PODS, pod(exit_code=int(state == "failed"), message=message))
    reconcile(reconciling)
    assert (only_run(cluster).state, only_run(cluster).report, reason(cluster)) == (state, "Done", "AllReported")
    assert sink.calls == []
    assert cluster.writes.count(STATUS) == 1


def test_a_final_row_is_read_and_left_alone(ended: FakeCluster, sink: FakeSink, reconciling: Reconciling) -> None:
    final = sink.rows[RUN] = row("success", 49)
    reconcile(reconciling)
    assert sink.rows[RUN] == final
    assert (sink.writes, only_run(ended).report) == ([], "Done")


def test_before_the_first_end_no_condition_of_reports_exists(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    reconcile(reconciling)
    assert reported(cluster) is None


def _killed(condition: str | None = "FailureTarget") -> Body:
    body = job(condition=condition, reason="DeadlineExceeded", ended=30)
    body["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(29)
    return body


def test_a_killed_run_is_reported_once_its_pod_has_ended(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, _killed())
    cluster.put(PODS, pod(running=True))
    sink.rows[RUN] = row("running")
    reconcile(reconciling)
    assert (only_run(cluster).state, only_run(cluster).reason, sink.calls) == ("running", "Stopping", [])
    sink.rows[RUN] = row("failed", 48, status=PROVISIONAL)
    cluster.put(JOBS, _killed("Failed"))
    cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    reconcile(reconciling, pod(exit_code=143, ended=49))
    (step,) = sink.rows[RUN]["status"]
    assert (sink.rows[RUN]["pipelineState"], step["failures"][0]["name"]) == ("stopped", "Killed")
    assert "exit code 143" in step["failures"][0]["error"]
    assert step["failures"][0]["stackTrace"] == "y"
    assert (sink.writes, only_run(cluster).report) == ([RUN], "Done")


def test_a_pod_lost_with_its_node_holds_a_report_for_a_while(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, _killed())
    cluster.put(PODS, pod(running=True, node_lost=True))
    assert reconcile(reconciling) == clock.moment + timedelta(seconds=5)
    assert (only_run(cluster).state, only_run(cluster).report, sink.calls) == ("stopped", "Pending", [])
    clock.forward(minutes=11)
    reconcile(reconciling)
    assert (sink.writes, only_run(cluster).report) == ([RUN], "Done")


def test_a_run_whose_job_was_deleted_waits_for_its_pod_too(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    cluster.put(PODS, pod(running=True))  # it has its grace period
    reconcile(reconciling)
    assert (only_run(cluster).reason, sink.calls) == ("JobDeleted", [])
    cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    reconcile(reconciling)
    assert sink.rows[RUN]["status"][0]["failures"][0]["name"] == "JobDeleted"


def test_a_run_killed_in_the_queue_is_reported_then_deleted(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    waiting = job(suspended=True, scheduled=False)
    waiting["metadata"]["annotations"] |= {constants.ANNOTATION_STOP: at(5), constants.ANNOTATION_REQUESTED_AT: at(1)}
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, waiting)
    reconcile(reconciling)
    assert sink.rows[RUN]["pipelineState"] == "stopped"
    assert cluster.all(JOBS) == []
    assert [call.verb for call in cluster.writes if call.plural != "events"] == ["apply", "apply", "apply", "delete"]
    assert only_run(cluster).report == "Done"


def test_a_run_that_refused_to_start_only_closes_an_open_row(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    refusal = json.dumps({"version": 1, "state": "stopped", "reason": "OutsideSchedule", "reportedBy": "none"})
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(exit_code=3, message=refusal))
    reconcile(reconciling)
    assert (sink.rows, only_run(cluster).report) == ({}, "Done")


@pytest.mark.parametrize(
    ("server", "state"),
    [({"version": "2.0"}, "stopped"), ({"version": "1.13"}, "failed"), ({}, "stopped")],
)
def test_a_state_is_named_as_the_servers_version_does(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, server: Body, state: str
) -> None:
    cluster.put(PIPELINES, manifest(server={"hostPort": "http://o/api"} | server))
    cluster.put(JOBS, _killed("Failed"))
    reconcile(reconciling)
    assert sink.rows[RUN]["pipelineState"] == state


@pytest.mark.parametrize("error", [NotFound("no such pipeline", code=404), Invalid("no", code=400)])
def test_a_row_that_the_server_refuses_is_not_tried_again(
    ended: FakeCluster,
    sink: FakeSink,
    reconciling: Reconciling,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink.refuses_writes = error
    reconcile(reconciling)
    assert only_run(ended).report == "Refused"
    condition = reported(ended)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ReportRefused")
    assert RUN in condition.message
    assert str(error) in caplog.text
    sink.calls.clear()
    reconcile(reconciling)
    assert sink.calls == []
