"""Runs whose pods do not start: the cause is recorded while they wait, and after a limit they have failed."""

from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Run
from ingestion_operator.errors import ActionsFailed, Conflict, Forbidden, Unavailable
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, at, event, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
PULL = ("ErrImagePull", "no such image")
NO_SECRET = 'MountVolume.SetUp failed for volume "connection" : secret "shop" not found'
QUOTA = 'Error creating: pods "nightly-1-x" is forbidden: exceeded quota: small'
END = Call("merge_patch", "jobs", "nightly-1")


@pytest.fixture
def waiting(cluster: FakeCluster) -> FakeCluster:
    """A pipeline on demand with one Job that may have a pod since NOW."""
    cluster.put(PIPELINES, manifest(schedule=None))
    body = job()
    body["status"]["startTime"] = at(0)
    cluster.put(JOBS, body)
    return cluster


def reconcile(reconciling: Reconciling) -> float | None:
    again = reconciling.reconcile(KEY, [])
    return None if again is None else (again - NOW).total_seconds()


def at_second(clock: FakeClock, seconds: float) -> None:
    clock.moment = NOW + timedelta(seconds=seconds)


def only_run(cluster: FakeCluster) -> Run:
    (body,) = cluster.all(PIPELINES)
    (run,) = parse_status(body).runs
    return run


def the_job(cluster: FakeCluster, name: str = "nightly-1") -> Body:
    return next(body for body in cluster.all(JOBS) if body["metadata"]["name"] == name)


def is_ended(cluster: FakeCluster, name: str = "nightly-1") -> bool:
    body = the_job(cluster, name)
    has_ended = constants.ANNOTATION_TERMINATED_REASON in body["metadata"]["annotations"]
    assert has_ended == (body["spec"].get("activeDeadlineSeconds") == 1)
    return has_ended


def kubernetes_ends_it(cluster: FakeCluster) -> None:
    failed = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": at(601)}
    cluster.edit(JOBS, NAMESPACE, "nightly-1", lambda body: body["status"].update(conditions=[failed]))
    for body in cluster.all(PODS):
        cluster.delete(PODS, NAMESPACE, body["metadata"]["name"])


def test_an_unpullable_image_ends_the_run_at_the_limit(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock, sink: FakeSink
) -> None:
    waiting.put(PODS, pod(waiting=PULL))
    assert reconcile(reconciling) == 600
    assert (only_run(waiting).state, only_run(waiting).reason) == ("queued", "ImagePullBackOff")
    at_second(clock, 599)
    assert reconcile(reconciling) == 600
    assert not is_ended(waiting)
    at_second(clock, 600)
    reconcile(reconciling)
    assert is_ended(waiting)
    kubernetes_ends_it(waiting)
    reconcile(reconciling)
    run = only_run(waiting)
    assert (run.state, run.reason, run.report, run.waiting_since) == ("failed", "ImagePullBackOff", "Done", None)
    assert run.message.startswith("No pod of the run started within 10 minutes. Pod nightly-1-a waits: its image")
    (row,) = sink.rows.values()
    assert row["pipelineState"] == "failed"
    assert row["status"][0]["failures"][0]["name"] == "ImagePullBackOff"
    assert "RunFailed" in [body["reason"] for body in waiting.all(EVENTS)]


@pytest.mark.parametrize(
    ("pods", "found", "reason"),
    [
        ([pod(waiting=("ContainerCreating", ""))], event("nightly-1-a", "FailedMount", NO_SECRET), "SecretNotFound"),
        ([], event("nightly-1", "FailedCreate", QUOTA, kind="Job"), "QuotaExceeded"),
    ],
    ids=["a Secret is missing", "a Job without a pod"],
)
def test_a_cause_that_only_events_name_is_found_and_kept(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock, pods: list[Body], found: Body, reason: str
) -> None:
    for body in pods:
        waiting.put(PODS, body)
    waiting.put(EVENTS, found)
    waiting.put(EVENTS, event("another-pod", "FailedMount", "not ours", seconds=8))
    assert reconcile(reconciling) == 10
    assert Call("list", "events", "") not in waiting.calls
    at_second(clock, 10)
    assert reconcile(reconciling) == 600
    assert (only_run(waiting).state, only_run(waiting).reason) == ("queued", reason)
    assert waiting.calls.count(Call("list", "events", "")) == 1
    at_second(clock, 600)
    reconcile(reconciling)
    kubernetes_ends_it(waiting)
    reconcile(reconciling)
    assert (only_run(waiting).state, only_run(waiting).reason) == ("failed", reason)


def test_a_pod_that_starts_in_time_runs_on(waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    waiting.put(PODS, pod(waiting=PULL))
    reconcile(reconciling)
    waiting.put(PODS, pod(running=True))
    at_second(clock, 900)
    assert reconcile(reconciling) is None
    assert not is_ended(waiting)
    assert (only_run(waiting).state, only_run(waiting).waiting_since) == ("running", None)


def test_a_pod_that_starts_as_its_limit_expires_is_seen(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    waiting.put(PODS, pod(waiting=PULL))
    reconcile(reconciling)
    at_second(clock, 600)
    waiting.interleave(
        "merge_patch", lambda: waiting.edit(JOBS, NAMESPACE, "nightly-1", lambda b: b["status"].update(ready=1))
    )
    with pytest.raises(Conflict):
        reconcile(reconciling)
    waiting.put(PODS, pod(running=True))
    reconcile(reconciling)
    assert not is_ended(waiting)


def test_waiting_for_a_slot_has_no_bound(cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    cluster.put(PIPELINES, manifest(schedule=None))
    cluster.put(JOBS, job("first"))
    cluster.put(PODS, pod(of="first", running=True))
    second = job("second", created=1, suspended=True, scheduled=False)
    second["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(1)
    cluster.put(JOBS, second)
    at_second(clock, 100_000)
    assert reconcile(reconciling) is None
    assert not is_ended(cluster, "second")


def test_the_next_run_starts_after_one_that_expired(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    second = job("second", created=1, suspended=True, scheduled=False)
    second["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(1)
    waiting.put(JOBS, second)
    at_second(clock, 600)
    reconcile(reconciling)
    kubernetes_ends_it(waiting)
    reconcile(reconciling)
    assert the_job(waiting, "second")["spec"]["suspend"] is False


def test_the_limit_is_that_of_the_settings(
    waiting: FakeCluster, reconciling: Reconciling, settings_in_force: list[Settings], clock: FakeClock
) -> None:
    waiting.put(PODS, pod(waiting=PULL))
    settings_in_force.append(settings(startTimeout="30s"))
    assert reconcile(reconciling) == 30
    at_second(clock, 30)
    reconcile(reconciling)
    assert is_ended(waiting)


@pytest.mark.parametrize("is_done", [False, True], ids=["before the write", "after the write"])
def test_an_operator_that_dies_at_the_write_ends_the_job_once(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock, *, is_done: bool
) -> None:
    waiting.put(PODS, pod(waiting=PULL))
    reconcile(reconciling)
    at_second(clock, 600)
    waiting.fail("merge_patch", Unavailable("away", code=503), after=is_done)
    with pytest.raises(ActionsFailed):
        reconcile(reconciling)
    assert is_ended(waiting) is is_done
    again = Reconciling(waiting, settings, clock, reporter_over(waiting, FakeSink(), settings, clock))
    waiting.calls.clear()
    reconcile(again)
    assert is_ended(waiting)
    assert waiting.writes.count(END) == (0 if is_done else 1)
    waiting.calls.clear()
    assert reconcile(again) is None
    assert waiting.writes == []


def test_a_restarted_operator_ends_an_expired_job_at_once(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    waiting.put(PODS, pod(waiting=("ContainerCreating", "")))
    waiting.put(EVENTS, event("nightly-1-a", "FailedMount", NO_SECRET))
    at_second(clock, 7000)
    reconcile(reconciling)
    assert is_ended(waiting)
    assert the_job(waiting)["metadata"]["annotations"][constants.ANNOTATION_TERMINATED_REASON].startswith(
        "SecretNotFound: No pod"
    )


def test_a_role_that_may_not_list_events_costs_only_the_cause(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    at_second(clock, 10)
    waiting.fail("list", Forbidden("no", code=403), plural="events")
    assert reconcile(reconciling) == 600
    assert only_run(waiting).message == "Waits for its pod"


def test_a_pod_that_only_waits_costs_no_writes(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    waiting.put(PODS, pod(waiting=("ContainerCreating", "")))
    waiting.put(EVENTS, event("nightly-1-a", "FailedMount", NO_SECRET))
    at_second(clock, 20)
    reconcile(reconciling)
    waiting.calls.clear()
    for seconds in (30, 60, 599):
        at_second(clock, seconds)
        assert reconcile(reconciling) == 600
    assert waiting.writes == []


def test_a_scheduled_run_that_is_being_ended_is_not_requeued(
    waiting: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    at_second(clock, 600)
    reconcile(reconciling)
    manual = job("manual", created=-5, scheduled=False)
    waiting.put(JOBS, manual)
    waiting.put(PODS, pod(of="manual", running=True))
    reconcile(reconciling)
    assert the_job(waiting)["spec"]["suspend"] is False
