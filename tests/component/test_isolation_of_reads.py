"""What is only for people to read, Events and counters, holds up no run; neither does another's CronJob."""

from collections.abc import Sequence

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.errors import ClusterError, Forbidden, Unavailable
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import Job
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, Body, at, event, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import KEY, events, only_run, reconcile, status


def waiting(name: str = "waits") -> Body:
    body = job(name, suspended=True, scheduled=False)
    body["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at()
    return body


def is_suspended(cluster: FakeCluster, name: str = "waits") -> bool:
    return bool(next(body["spec"]["suspend"] for body in cluster.all(JOBS) if body["metadata"]["name"] == name))


@pytest.mark.parametrize("error", [Unavailable("etcd for events", code=503), Forbidden("no", code=403)])
def test_events_that_cannot_be_read_stop_nothing(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock, error: ClusterError
) -> None:
    cluster.put(PIPELINES, manifest(concurrency={"policy": "Allow", "maxActiveRuns": 5}))
    cluster.put(JOBS, job())
    cluster.put(PODS, pod())
    cluster.put(JOBS, waiting())
    clock.forward(seconds=30)
    cluster.fail("list", error, plural="events", times=99)
    reconcile(reconciling)
    assert {run.id for run in status(cluster).runs} == {"uid-nightly-1", "uid-waits"}
    assert not is_suspended(cluster)


def test_a_known_cause_stays_while_events_cannot_be_read(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod())
    cluster.put(EVENTS, event("nightly-1-a", "FailedMount", 'secret "shop" not found'))
    clock.forward(seconds=30)
    reconcile(reconciling)
    cause = only_run(cluster).reason, only_run(cluster).message
    assert cause[0] == "SecretNotFound"
    cluster.fail("list", Unavailable("etcd for events", code=503), plural="events", times=99)
    cluster.calls.clear()
    reconcile(reconciling)
    assert (only_run(cluster).reason, only_run(cluster).message) == cause
    assert cluster.writes == []


def test_events_that_fail_slowly_hold_a_worker_once(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    for number in range(6):
        cluster.put(JOBS, job(f"r{number}", condition="Failed", scheduled=False))
    create, tried = cluster.create, []

    def slow(kind: object, body: Body, *, field_manager: str = "") -> Body:
        if kind is not EVENTS:
            return create(kind, body, field_manager=field_manager)  # type: ignore[arg-type]
        tried.append(body["reason"])
        clock.forward(seconds=20)
        raise Unavailable("etcd for events", code=500)

    cluster.create = slow  # type: ignore[method-assign]
    reconcile(reconciling)
    assert tried == ["RunFailed"]
    cluster.create = create  # type: ignore[method-assign]
    clock.forward(seconds=61)
    cluster.put(JOBS, job("later", condition="Failed", created=100, scheduled=False))
    reconcile(reconciling)
    assert events(cluster) == ["RunFailed"]


class Broken:
    """An observer with a mistake."""

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        raise ZeroDivisionError(pipeline, before, after, jobs)


def test_a_fault_of_an_observer_stops_nothing(
    cluster: FakeCluster, clock: FakeClock, reporter: Reporter, sink: FakeSink
) -> None:
    reconciling = Reconciling(cluster, settings, clock, reporter, observers=[Broken()])
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed"))
    reconcile(reconciling)
    assert sink.writes == ["uid-nightly-1"]
    assert events(cluster) == ["RunFailed"]


def test_a_cronjob_of_another_owner_holds_up_no_run(cluster: FakeCluster, reconciling: Reconciling) -> None:
    active = [{"kind": "Job", "namespace": NAMESPACE, "name": "other", "uid": "uid-other"}]
    spec = {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}}
    foreign = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec, "status": {"active": active}}
    cluster.put(CRONJOBS, foreign)
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, waiting())
    reconcile(reconciling)
    assert status(cluster).conditions[0].reason == "NameConflict"
    assert not is_suspended(cluster)


def test_a_replaced_job_has_its_time_though_another_was_late(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    """A Job that the cache showed late must not use up the moment that its own successor has to appear."""
    cluster.put(PIPELINES, manifest(concurrency={"policy": "Replace"}))
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    reconciling.store.replace(JOBS, "", [], cluster.version)  # the cache lacks it for a moment
    reconciling.reconciler.reconcile(KEY)
    reconcile(reconciling)
    clock.forward(hours=1)
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    reconcile(reconciling)
    assert only_run(cluster).state == "running"
    cluster.put(JOBS, job("nightly-2", created=3600))
    clock.forward(seconds=5)
    reconcile(reconciling)
    assert [(run.id, run.state) for run in status(cluster).runs] == [
        ("uid-nightly-2", "queued"),
        ("uid-nightly-1", "stopped"),
    ]
