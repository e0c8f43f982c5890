"""Reports that cannot be made at once: a server that is away, a token that is refused, an operator that restarts."""

import json
from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Invalid, NotFound
from ingestion_operator.ports import JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, Body, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import (
    AWAY,
    KEY,
    OUT_OF_MEMORY,
    RUN,
    SERVER,
    events,
    only_run,
    reason,
    reconcile,
    reported,
    row,
    secret,
    status,
)


def test_an_absent_server_delays_reports_without_an_event(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, reporter: Reporter, clock: FakeClock
) -> None:
    sink.down = AWAY
    reconcile(reconciling)
    condition = reported(ended)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ReportPending")
    assert "http://openmetadata:8585/api does not respond" in condition.message
    assert events(ended) == ["RunFailed"]
    ended.calls.clear()
    for _ in range(600):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    assert ended.writes == []
    assert 10 <= len(sink.calls) <= 30
    sink.down = None
    clock.forward(seconds=60)
    assert reporter.due() == [(NAMESPACE, NAME)]
    reconcile(reconciling)
    assert (sink.writes, only_run(ended).report, reason(ended)) == ([RUN], "Done", "AllReported")
    assert reporter.due() == []
    since = reported(ended)
    assert since is not None
    assert since.last_transition_time == clock.moment


def test_pipelines_with_an_absent_server_share_one_probe(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, reporter: Reporter, clock: FakeClock
) -> None:
    sink.down = AWAY
    names = [f"p{number}" for number in range(60)]
    for name in names:
        cluster.put(PIPELINES, manifest(name))
        cluster.put(JOBS, job(f"{name}-1", condition="Failed", pipeline_name=name))
        reconciling.reconcile(PipelineKey(NAMESPACE, name), [])
    assert len(sink.calls) == 1
    assert {(c := reported(cluster, name)) and c.reason for name in names} == {"ReportPending"}
    cluster.calls.clear()
    for _ in range(3600):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    assert 60 <= len(sink.calls) <= 150
    assert cluster.writes == []
    assert len([call for call in cluster.calls if call.verb == "get"]) < 1000
    sink.down = None
    for _ in range(120):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    assert len(sink.rows) == 60
    assert {status(cluster, name).runs[0].report for name in names} == {"Done"}


def test_a_restarted_operator_knows_what_is_due(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, clock: FakeClock
) -> None:
    def restarted() -> Reconciling:
        return Reconciling(ended, settings, clock, reporter_over(ended, sink, settings, clock))

    sink.down = AWAY
    reconcile(reconciling)
    ended.calls.clear()
    reconcile(restarted())
    assert ended.writes == []
    sink.down = None
    ended.delete(JOBS, NAMESPACE, "nightly-1")
    reconcile(restarted())
    assert (sink.writes, only_run(ended).report) == ([RUN], "Done")


def test_ends_without_an_operator_are_reported_after_its_start(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    sink.rows[RUN] = row("running")
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    reconcile(Reconciling(cluster, settings, clock, reporter_over(cluster, sink, settings, clock)))
    assert sink.rows[RUN]["pipelineState"] == "failed"


@pytest.mark.parametrize("lost", ["the request", "the answer", "what came of it"])
def test_a_report_that_is_cut_off_is_repeated_with_one_row(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, lost: str
) -> None:
    sink.rows[RUN] = row("running")
    crash = ZeroDivisionError("the operator is killed here")
    if lost == "the request":
        sink.down = crash
    elif lost == "the answer":
        sink.after_write = lambda: 1 / 0
    else:
        sink.after_write = lambda: ended.fail("apply", crash, plural="ingestionpipelines")
    with pytest.raises(ZeroDivisionError):
        reconcile(reconciling)
    sink.down, sink.after_write = None, lambda: None
    assert only_run(ended).report == "Pending"
    reconcile(reconciling)
    assert (sink.writes, only_run(ended).report) == ([RUN], "Done")


def test_an_absent_api_server_is_not_taken_for_openmetadata(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("good"))
    reconcile(reconciling)
    ended.put(JOBS, job("nightly-2", condition="Failed", created=100, ended=160))
    ended.fail("get", AWAY, plural="secrets")
    reconcile(reconciling)
    assert reason(ended) == "AllReported"  # it is tried again in a moment
    reconcile(reconciling)
    assert sink.writes == [RUN, "uid-nightly-2"]


def test_reports_of_runs_that_ended_before_the_failure_are_kept(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    cluster.put(PIPELINES, manifest())
    for number in range(3):
        cluster.put(JOBS, job(f"j{number}", created=number, condition="Failed"))

    def third_time() -> None:
        sink.down = AWAY if len(sink.calls) >= 5 else None

    sink.before_call = third_time
    reconcile(reconciling)
    assert [run.report for run in status(cluster).runs] == ["Done", "Done", "Pending"]
    assert reason(cluster) == "ReportPending"


def test_a_pipeline_with_many_slow_reports_gives_its_worker_back(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    for number in range(10):
        cluster.put(JOBS, job(f"j{number}", created=number, condition="Failed"))
    sink.before_call = lambda: clock.forward(seconds=2)
    times = 0
    while any(run.report != "Done" for run in status(cluster).runs) or not times:
        began, calls = clock.moment, len(sink.calls)
        again = reconciling.reconcile_once(KEY)
        assert clock.moment - began <= timedelta(seconds=14)
        assert len(sink.calls) > calls
        times += 1
        assert again is not None
    assert times > 1
    assert len(sink.writes) == 10


def test_a_pipeline_whose_spec_is_unusable_still_reports(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    ended.put(PIPELINES, manifest(schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}))
    reconcile(reconciling)
    assert sink.writes == [RUN]


def test_an_unexpected_error_leaves_the_server_free(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    sink.down = ZeroDivisionError("a mistake of this program")
    for _ in range(8):
        with pytest.raises(ZeroDivisionError):
            reconcile(reconciling)
    sink.down = None
    reconcile(reconciling)
    assert only_run(ended).report == "Done"


@pytest.mark.parametrize("error", [NotFound("gone", code=404), Invalid("not started", code=400), AWAY])
def test_a_log_that_cannot_be_read_does_not_hold_up_the_report(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, logs: FakeLogs, error: Exception
) -> None:
    logs.unreadable = error
    reconcile(reconciling)
    assert only_run(ended).report == "Done"
    assert "stackTrace" not in sink.rows[RUN]["status"][0]["failures"][0]


def test_unreported_runs_stay_in_the_status(
    cluster: FakeCluster, sink: FakeSink, reconciling: Reconciling, reporter: Reporter, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("first", condition="Failed"))
    sink.down = AWAY
    reconcile(reconciling)
    cluster.delete(JOBS, NAMESPACE, "first")
    message = json.dumps({"version": 1, "state": "success", "reason": "Succeeded", "reportedBy": "workflow"})
    for number in range(1, 30):
        name = f"j{number}"
        cluster.put(JOBS, job(name, created=number * 60, condition="Complete"))
        cluster.put(PODS, pod(f"{name}-a", of=name, created=number * 60, exit_code=0, message=message))
        reconcile(reconciling)
        cluster.delete(JOBS, NAMESPACE, name)
    assert len(status(cluster).runs) == constants.STATUS_RUNS_LIMIT
    assert [run.id for run in status(cluster).runs if run.is_unreported] == ["uid-first"]
    sink.down = None
    clock.forward(minutes=5)
    assert reporter.due() == [(NAMESPACE, NAME)]
    reconcile(reconciling)
    assert sink.writes == ["uid-first"]


def test_a_status_without_reports_is_completed(ended: FakeCluster, sink: FakeSink, reconciling: Reconciling) -> None:
    reconcile(reconciling)

    def forget(body: Body) -> None:
        for run in body["status"]["runs"]:
            del run["report"]

    ended.edit(PIPELINES, NAMESPACE, NAME, forget)
    reconcile(reconciling)
    assert (only_run(ended).report, sink.writes) == ("Done", [RUN])
