"""Pipelines and CronJobs that are being deleted and wait for a finalizer."""

import pytest

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Condition
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, Kind
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, at, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import OUT_OF_MEMORY, reconcile, status


def delete(cluster: FakeCluster, kind: Kind) -> None:
    """Delete an object that has a finalizer of another controller."""
    cluster.edit(
        kind, NAMESPACE, NAME, lambda b: b["metadata"].update(deletionTimestamp=at(), finalizers=["example.com/hold"])
    )


def ready(cluster: FakeCluster) -> Condition:
    return next(found for found in status(cluster).conditions if found.type == "Ready")


def test_a_pipeline_in_deletion_fires_no_more_but_reports(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    delete(cluster, PIPELINES)
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    assert reconcile(reconciling) is None
    assert cluster.all(CRONJOBS)[0]["spec"]["suspend"] is True
    assert (ready(cluster).status, ready(cluster).reason) == ("False", "WaitingForDeletion")
    assert sink.rows["uid-nightly-1"]["pipelineState"] == "failed"
    assert status(cluster).runs[0].report == "Done"
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_a_pipeline_in_deletion_starts_no_run_that_waits(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    delete(cluster, PIPELINES)
    waiting = job(suspended=True, scheduled=False)
    waiting["metadata"]["annotations"]["ingestion.openmetadata.org/requested-at"] = at()
    cluster.put(JOBS, waiting)
    reconcile(reconciling)
    assert cluster.all(JOBS)[0]["spec"]["suspend"] is True
    assert cluster.all(CRONJOBS) == []


def test_a_cronjob_deleted_with_its_pipeline_causes_no_error(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    delete(cluster, PIPELINES)
    cluster.interleave("merge_patch", lambda: cluster.delete(CRONJOBS, NAMESPACE, NAME), plural="cronjobs")
    assert reconcile(reconciling) is None
    assert ready(cluster).reason == "WaitingForDeletion"


@pytest.mark.parametrize("has_a_new_schedule", [False, True])
def test_a_pipeline_that_waits_for_its_cronjob_shows_it(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, *, has_a_new_schedule: bool
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    delete(cluster, CRONJOBS)
    if has_a_new_schedule:
        cluster.put(PIPELINES, manifest(schedule={"cron": "0 5 * * *"}))
    cluster.put(JOBS, job(condition="Failed"))
    assert reconcile(reconciling) is not None
    assert (ready(cluster).status, ready(cluster).reason) == ("False", "WaitingForDeletion")
    assert "finalizers" in ready(cluster).message
    assert status(cluster).observed_generation == 1 + has_a_new_schedule
    assert [body["reason"] for body in cluster.all(EVENTS)].count("WaitingForDeletion") == 1
    assert set(sink.rows) == {"uid-nightly-1"}
    cluster.delete(CRONJOBS, NAMESPACE, NAME)
    reconcile(reconciling)
    assert ready(cluster).status == "True"
    assert len(cluster.all(CRONJOBS)) == 1


def test_a_pipeline_that_follows_another_waits_for_its_cronjob(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    (earlier,) = cluster.all(CRONJOBS)
    cluster.edit(PIPELINES, NAMESPACE, NAME, lambda body: body["metadata"].update(uid="another"))
    reconcile(reconciling)
    assert ready(cluster).reason == "WaitingForDeletion"
    assert cluster.all(CRONJOBS) == [earlier]
    (body,) = cluster.all(PIPELINES)
    assert parse_status(body).cron_job_name is None
