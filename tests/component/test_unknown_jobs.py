"""A cache that lags behind: no run is admitted beside a Job that only the API server knows."""

from datetime import timedelta

from ingestion_operator import constants
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAME, NAMESPACE, Body, at, job, manifest
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)


def waiting() -> Body:
    body = job("waits", suspended=True, scheduled=False)
    body["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at()
    return body


def is_suspended(cluster: FakeCluster) -> bool:
    return bool(next(body["spec"]["suspend"] for body in cluster.all(JOBS) if body["metadata"]["name"] == "waits"))


def test_a_run_waits_for_a_job_that_the_cache_lacks(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    reconciling.reconcile(KEY)
    active = [{"kind": "Job", "namespace": NAMESPACE, "name": "unknown", "uid": "uid-unknown"}]
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body.update(status={"active": active}))
    cluster.put(JOBS, waiting())
    assert reconciling.reconcile(KEY) == clock.now() + timedelta(seconds=2)
    assert is_suspended(cluster)
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body.update(status={}))
    clock.forward(seconds=2)
    reconciling.reconcile(KEY)
    assert not is_suspended(cluster)
