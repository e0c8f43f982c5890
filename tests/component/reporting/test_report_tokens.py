"""Reports that wait for a token: a missing Secret, a refused token, one that another replaces."""

import json

import pytest

from ingestion_operator.errors import Forbidden
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, Body, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import (
    OUT_OF_MEMORY,
    RUN,
    SERVER,
    events,
    only_run,
    reason,
    reconcile,
    reported,
    secret,
    status,
)


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
