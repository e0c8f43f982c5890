"""Runs on a node that does not report: after a limit they have failed, and their own outcome corrects that."""

import json
from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Run
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, NOW, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
LOST_AT = 61
"""Seconds after NOW, as in `pod`."""


@pytest.fixture
def lost(cluster: FakeCluster, settings_in_force: list[Settings]) -> FakeCluster:
    """A pipeline with one run whose node reported for a minute."""
    settings_in_force.append(settings(nodeLostTimeout="2m"))
    cluster.put(PIPELINES, manifest(schedule=None))
    cluster.put(JOBS, job(scheduled=False))
    cluster.put(PODS, pod(running=True, node_lost=True))
    return cluster


def reconcile(reconciling: Reconciling, clock: FakeClock, seconds: float) -> float | None:
    clock.moment = NOW + timedelta(seconds=seconds)
    again = reconciling.reconcile(KEY, [])
    return None if again is None else (again - NOW).total_seconds()


def only_run(cluster: FakeCluster) -> Run:
    (body,) = cluster.all(PIPELINES)
    (run,) = parse_status(body).runs
    return run


def is_ended(cluster: FakeCluster) -> bool:
    (body,) = cluster.all(JOBS)
    return constants.ANNOTATION_TERMINATED_REASON in body["metadata"]["annotations"]


def expire(cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    """Let the bound pass and Kubernetes end the Job; the pod stays, it cannot be ended."""
    reconcile(reconciling, clock, LOST_AT + 120)
    target = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": at(182)}
    cluster.edit(JOBS, NAMESPACE, "nightly-1", lambda body: body["status"].update(conditions=[target]))
    reconcile(reconciling, clock, LOST_AT + 122)


def ended(state: str, reason: str, reported_by: str, code: int) -> Body:
    message = {"version": 1, "state": state, "reason": reason, "message": "its own word", "reportedBy": reported_by}
    return pod(exit_code=code, ended=150, message=json.dumps(message))


def test_a_run_on_a_lost_node_fails_after_the_limit_not_before(
    lost: FakeCluster, reconciling: Reconciling, clock: FakeClock, sink: FakeSink
) -> None:
    assert reconcile(reconciling, clock, LOST_AT) == LOST_AT + 120
    assert (only_run(lost).state, only_run(lost).reason) == ("running", "NodeLost")
    reconcile(reconciling, clock, LOST_AT + 119)
    assert not is_ended(lost)
    expire(lost, reconciling, clock)
    run = only_run(lost)
    assert (run.state, run.reason, run.report) == ("failed", "NodeLost", "Done")
    assert run.message.startswith("The node did not report for 2 minutes. Node")
    assert sink.rows[run.id]["pipelineState"] == "failed"


def test_a_node_that_reports_again_in_time_ends_nothing(
    lost: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    reconcile(reconciling, clock, LOST_AT)
    lost.put(PODS, pod(running=True))
    reconcile(reconciling, clock, 1000)
    assert not is_ended(lost)
    assert only_run(lost).reason == "Running"


@pytest.mark.parametrize(
    ("state", "reason", "code"), [("success", "Succeeded", 0), ("failed", "WorkflowFailed", 1)], ids=["good", "bad"]
)
def test_the_runs_own_outcome_corrects_record_and_row(
    lost: FakeCluster, reconciling: Reconciling, clock: FakeClock, sink: FakeSink, state: str, reason: str, code: int
) -> None:
    expire(lost, reconciling, clock)
    lost.put(PODS, ended(state, reason, "none", code))
    reconcile(reconciling, clock, 400)
    run = only_run(lost)
    assert (run.state, run.reason, run.report) == (state, reason, "Done")
    assert sink.rows[run.id]["pipelineState"] == state
    writes = len(sink.writes)
    reconcile(reconciling, clock, 500)
    assert len(sink.writes) == writes == 2


def test_a_correction_gets_an_event(lost: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    expire(lost, reconciling, clock)
    lost.put(PODS, ended("success", "Succeeded", "workflow", 0))
    reconcile(reconciling, clock, 400)
    assert [body["reason"] for body in lost.all(EVENTS)][-2:] == ["RunFailed", "RunEnded"]


def test_a_run_interrupted_after_its_node_is_back_stays_lost(
    lost: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    expire(lost, reconciling, clock)
    lost.put(PODS, pod(running=True))
    reconcile(reconciling, clock, 400)
    lost.put(PODS, ended("failed", "Interrupted", "runner", 143))
    reconcile(reconciling, clock, 410)
    assert (only_run(lost).state, only_run(lost).reason) == ("failed", "NodeLost")


@pytest.mark.parametrize("is_forced", [False, True], ids=["ends", "is deleted by force"])
def test_a_pod_without_its_job_keeps_its_slot_until_it_ends(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock, *, is_forced: bool
) -> None:
    cluster.put(PIPELINES, manifest(schedule=None))
    waiting = job("second", created=1, suspended=True, scheduled=False)
    waiting["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(1)
    cluster.put(JOBS, waiting)
    cluster.put(JOBS, job("deleted", scheduled=False))
    cluster.put(PODS, pod(of="deleted", running=True))
    reconcile(reconciling, clock, 4)
    cluster.delete(JOBS, NAMESPACE, "deleted")
    cluster.put(PODS, pod(of="deleted", running=True))  # it has its grace period
    reconcile(reconciling, clock, 5)
    assert cluster.all(JOBS)[0]["spec"]["suspend"] is True
    if is_forced:
        cluster.delete(PODS, NAMESPACE, "nightly-1-a")
    else:
        cluster.put(PODS, pod(of="deleted", exit_code=143))
    reconcile(reconciling, clock, 6)
    assert cluster.all(JOBS)[0]["spec"]["suspend"] is False
