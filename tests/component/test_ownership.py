"""Runs belong to a pipeline by the UID of their controller; a label or a name alone makes none."""

from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import AWAY, reconcile, status


@pytest.mark.parametrize(
    "owner",
    [
        {"owner": "uid-of-the-earlier-cronjob", "owner_kind": "CronJob"},
        {"owner": "uid-of-the-earlier-pipeline", "owner_kind": constants.KIND},
        {"owner": "uid-of-a-deployment", "owner_kind": "Deployment"},
    ],
    ids=lambda owner: owner["owner"],
)
def test_jobs_of_another_controller_are_ignored(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, owner: dict[str, Any]
) -> None:
    cluster.put(JOBS, job(created=-600, **owner))
    cluster.put(PODS, pod(created=-599, running=True))
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    assert (status(cluster).runs, status(cluster).active) == ([], 0)
    cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    reconcile(reconciling)
    assert status(cluster).runs == []
    assert [condition.type for condition in status(cluster).conditions] == ["Ready", "Scheduled"]
    assert (cluster.all(EVENTS), sink.rows) == ([], {})


def test_a_job_without_a_controller_is_ignored(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    body = job()
    body["metadata"]["ownerReferences"] = []
    cluster.put(JOBS, body)
    reconcile(reconciling)
    assert status(cluster).runs == []


def test_jobs_of_the_cronjob_are_runs(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    (cronjob,) = cluster.all(CRONJOBS)
    cluster.put(JOBS, job(owner=cronjob["metadata"]["uid"], owner_kind="CronJob"))
    reconcile(reconciling)
    assert [run.job for run in status(cluster).runs] == ["nightly-1"]


def test_a_pipeline_inherits_nothing_of_an_earlier_one(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, clock: FakeClock
) -> None:
    """More runs than a status takes: the reconciler remembers them in memory, by name."""
    cluster.put(PIPELINES, manifest())
    for number in range(30):
        cluster.put(JOBS, job(f"j-{number:02}", created=number, condition="Failed"))
    sink.down = AWAY
    reconcile(reconciling)
    assert len(status(cluster).runs) == constants.STATUS_RUNS_LIMIT
    cluster.delete(PIPELINES, NAMESPACE, NAME)
    cluster.put(PIPELINES, manifest())
    sink.down = None
    clock.forward(minutes=5)
    sink.calls.clear()
    reconcile(reconciling)
    assert (status(cluster).runs, sink.calls) == ([], [])


def test_a_job_is_missing_only_after_a_404(cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    unlabelled = job()
    unlabelled["metadata"]["labels"] = {}
    cluster.put(JOBS, unlabelled)  # the cache does not have it any longer
    clock.forward(seconds=60)
    reconcile(reconciling)
    assert [(run.state, run.end_time) for run in status(cluster).runs] == [("running", None)]
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    reconcile(reconciling)
    assert [(run.state, run.reason) for run in status(cluster).runs] == [("failed", "JobDeleted")]
    assert status(cluster).runs[0].end_time == clock.moment
