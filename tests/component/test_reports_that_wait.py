"""Reports that cannot be made at once: a server that is away, a token that is refused, an operator that restarts."""

import json
from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Forbidden, Invalid, NotFound
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS, SECRETS
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
    assert "http://openmetadata:8585/api does not answer" in condition.message
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


def test_pipelines_with_an_absent_server_share_one_probe_at_a_time(
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


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (None, "Secret data/bot does not exist"),
        ({**secret("x"), "data": {}}, "Secret data/bot has no key 'token'"),
        (secret("no\ttoken"), "does not hold a token"),
        (secret(""), "does not hold a token"),
        ({**secret("x"), "data": {"token": "!"}}, "does not hold a token"),
    ],
)
def test_a_missing_token_gets_one_event_and_the_report_follows(
    ended: FakeCluster,
    sink: FakeSink,
    reconciling: Reconciling,
    reporter: Reporter,
    clock: FakeClock,
    body: Body | None,
    fix: str,
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    if body is not None:
        ended.put(SECRETS, body)
    for _ in range(3):
        reconcile(reconciling)
        clock.forward(seconds=60)
        assert reporter.due() == [(NAMESPACE, NAME)]
    condition = reported(ended)
    assert condition is not None
    assert (condition.reason, sink.calls) == ("ReportPending", [])
    assert fix in condition.message
    assert events(ended).count("ReportPending") == 1
    ended.put(SECRETS, secret("good"))
    reconcile(reconciling)
    assert (sink.writes, [server.token for server in sink.servers]) == ([RUN], ["good"] * 2)


def test_a_token_that_is_missing_in_another_way_is_named(
    ended: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    reconcile(reconciling)
    ended.put(SECRETS, {**secret("x"), "data": {}})
    clock.forward(seconds=60)
    reconcile(reconciling)
    condition = reported(ended)
    assert condition is not None
    assert "Secret data/bot has no key 'token'" in condition.message


def test_pipelines_that_miss_one_token_share_its_reads(
    cluster: FakeCluster, reconciling: Reconciling, reporter: Reporter, clock: FakeClock
) -> None:
    """After a night without the Secret every run has failed: its pipelines must not ask for it all day."""
    names = [f"p{number}" for number in range(60)]
    for name in names:
        cluster.put(PIPELINES, manifest(name, server=SERVER))
        cluster.put(JOBS, job(f"{name}-1", condition="Failed", pipeline_name=name))
        reconciling.reconcile(PipelineKey(NAMESPACE, name), [])
    assert {(c := reported(cluster, name)) and c.reason for name in names} == {"ReportPending"}
    cluster.calls.clear()
    for _ in range(600):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    reads = len(cluster.calls)
    assert {call.plural for call in cluster.calls} == {"secrets"}
    assert reads <= 80
    cluster.put(SECRETS, secret("good"))
    for _ in range(120):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    assert {(c := reported(cluster, name)) and c.reason for name in names} == {"AllReported"}


def test_an_api_server_that_is_away_is_not_taken_for_openmetadata(
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


def test_a_refused_token_gets_one_event_and_the_report_follows(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling, reporter: Reporter, clock: FakeClock
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("wrong"))
    sink.before_call = lambda: setattr(
        sink, "down", None if sink.servers[-1].token == "good" else Forbidden("answered with 401", code=401)
    )
    reconcile(reconciling)
    condition = reported(ended)
    assert condition is not None
    assert condition.reason == "ReportPending"
    assert "refuses reports (HTTP 401) with the token in Secret data/bot, key 'token'" in condition.message
    ended.calls.clear()
    for _ in range(300):
        clock.forward(seconds=1)
        for namespace, name in reporter.due():
            reconciling.reconcile(PipelineKey(namespace, name), [])
    assert ended.writes == []
    assert events(ended).count("ReportPending") == 1
    assert "wrong" not in json.dumps(ended.all(PIPELINES) + ended.all(EVENTS))
    ended.put(SECRETS, secret("good"))
    clock.forward(seconds=60)
    for namespace, name in reporter.due():
        reconciling.reconcile(PipelineKey(namespace, name), [])
    assert (sink.writes, only_run(ended).report, reason(ended)) == ([RUN], "Done", "AllReported")


def test_a_token_rotated_between_two_runs_loses_no_report(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    valid = "old"
    sink.before_call = lambda: setattr(
        sink, "down", None if sink.servers[-1].token == valid else Forbidden("answered with 401", code=401)
    )
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("old"))
    reconcile(reconciling)
    valid = "new"
    ended.put(SECRETS, secret("new"))
    ended.put(JOBS, job("nightly-2", condition="Failed", created=100, ended=160))
    ended.put(PODS, pod("second", of="nightly-2", created=100, ended=160, **OUT_OF_MEMORY))
    reconcile(reconciling)
    assert sink.writes == [RUN, "uid-nightly-2"]
    assert [run.report for run in status(ended).runs] == ["Done", "Done"]
    assert {server.token for server in sink.servers} == {"old", "new"}


def test_a_pipeline_with_another_token_goes_on_reporting(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.put(SECRETS, secret("wrong"))
    ended.put(PIPELINES, manifest("other"))
    ended.put(JOBS, job("other-1", condition="Failed", pipeline_name="other"))
    sink.down = Forbidden("answered with 401", code=401)
    reconcile(reconciling)
    sink.down = None
    reconciling.reconcile(PipelineKey(NAMESPACE, "other"), [])
    assert sink.writes == ["uid-other-1"]


def test_a_missing_right_to_read_the_secret_is_named(
    ended: FakeCluster, sink: FakeSink, reconciling: Reconciling
) -> None:
    ended.put(PIPELINES, manifest(server=SERVER))
    ended.fail("get", Forbidden("secrets is forbidden", code=403), plural="secrets", times=2)
    reconcile(reconciling)
    condition = reported(ended)
    assert condition is not None
    assert "may not read Secret data/bot" in condition.message
    assert sink.calls == []


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
