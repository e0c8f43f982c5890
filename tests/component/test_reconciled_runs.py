"""What a reconciliation records of runs, and the Events that it posts."""

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Forbidden, Unavailable
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAME, NAMESPACE, job, manifest, pod
from testing.reconciled import not_ready, only_run, ready, reasons, reconcile, status
from testing.reconciling import Reconciling


def test_runs_go_on_being_recorded_while_the_spec_is_unusable(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.put(PIPELINES, manifest(schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}))
    cluster.put(JOBS, job(condition="Complete"))
    reconcile(reconciling)
    assert ready(cluster).reason == "UnknownTimeZone"
    assert only_run(cluster).state == "success"
    assert status(cluster).cron_job_name == NAME


def test_a_run_gets_one_event_for_its_start_and_its_end(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    reconcile(reconciling)
    assert only_run(cluster).state == "queued"
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    assert only_run(cluster).state == "running"
    assert status(cluster).active_runs == ["uid-nightly-1"]
    cluster.put(PODS, pod(exit_code=0))
    reconcile(reconciling)
    assert only_run(cluster).state == "success"
    cluster.put(JOBS, job(condition="Complete"))
    reconcile(reconciling)
    assert reasons(cluster) == ["RunStarted", "RunEnded"]


def test_a_pod_seen_only_by_the_watch_counts_with_its_end(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed", reason="DeadlineExceeded"))
    reconcile(reconciling, pod(exit_code=143, status_reason="DeadlineExceeded"))
    run = only_run(cluster)
    assert [attempt.exit_code for attempt in run.attempts] == [143]
    assert (run.state, run.reason) == ("failed", "DeadlineExceeded")


def test_a_listed_pod_beats_what_the_watch_saw_of_it_earlier(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(exit_code=0))
    reconcile(reconciling, pod(running=True))
    assert only_run(cluster).state == "success"


def test_a_run_whose_job_was_deleted_has_failed(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    clock.forward(minutes=1)
    reconcile(reconciling)
    run = only_run(cluster)
    assert (run.state, run.reason, run.end_time) == ("failed", "JobDeleted", clock.moment)
    assert [attempt.pod for attempt in run.attempts] == ["nightly-1-a"]
    clock.forward(minutes=1)
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_jobs_and_pods_of_another_pipeline_are_not_ours(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("other-1", pipeline_name="other"))
    reconcile(reconciling)
    assert status(cluster).runs == []


@pytest.mark.parametrize(
    "error", [Forbidden("no", code=403), Unavailable("away", code=503), Conflict("taken", code=409)]
)
def test_a_lost_event_does_no_harm(cluster: FakeCluster, reconciling: Reconciling, error: Exception) -> None:
    cluster.put(PIPELINES, not_ready())
    cluster.fail("create", error)
    assert reconcile(reconciling) is not None
    assert ready(cluster).reason == "SecretNotFound"
    assert cluster.all(EVENTS) == []
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_an_event_is_posted_only_after_the_status_was_written(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, not_ready())
    cluster.fail("apply", Unavailable("away", code=503), plural="ingestionpipelines")
    with pytest.raises(Unavailable):
        reconcile(reconciling)
    assert cluster.all(EVENTS) == []
    reconcile(reconciling)
    assert reasons(cluster) == ["SecretNotFound"]


def test_an_event_is_on_the_pipeline_and_bounded(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, not_ready())
    reconcile(reconciling)
    (event,) = cluster.all(EVENTS)
    (body,) = cluster.all(PIPELINES)
    assert event["involvedObject"]["uid"] == body["metadata"]["uid"]
    assert event["involvedObject"]["kind"] == constants.KIND
    assert event["metadata"]["namespace"] == NAMESPACE
    assert len(event["message"]) <= 1024
