"""Ending runs by an annotation on the pipeline: once for what was there, never for what comes later."""

from datetime import timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Run
from ingestion_operator.errors import ActionsFailed, Conflict, Unavailable
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
WHO = "the annotation ingestion.openmetadata.org/kill"


@pytest.fixture
def running(cluster: FakeCluster) -> FakeCluster:
    """A pipeline with a run under way and one that waits."""
    cluster.put(PIPELINES, manifest(schedule=None))
    cluster.put(JOBS, job("running", created=-20))
    cluster.put(PODS, pod("running-a", of="running", created=-19, running=True))
    waiting = job("waiting", created=-10, suspended=True, scheduled=False)
    waiting["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(-10)
    cluster.put(JOBS, waiting)
    return cluster


def annotate(cluster: FakeCluster, value: str) -> None:
    cluster.edit(
        PIPELINES, NAMESPACE, NAME, lambda body: body["metadata"].update(annotations={constants.ANNOTATION_KILL: value})
    )


def reconcile(reconciling: Reconciling) -> None:
    reconciling.reconcile(KEY, [])


def stopped(cluster: FakeCluster) -> dict[str, str]:
    """Job name -> who asked for its end."""
    return {
        body["metadata"]["name"]: body["metadata"]["annotations"][constants.ANNOTATION_STOPPED_BY]
        for body in cluster.all(JOBS)
        if constants.ANNOTATION_STOP in body["metadata"]["annotations"]
    }


def runs(cluster: FakeCluster) -> dict[str, Run]:
    (body,) = cluster.all(PIPELINES)
    return {run.job: run for run in parse_status(body).runs}


def kubernetes_ends(cluster: FakeCluster, name: str) -> None:
    def end(body: Body) -> None:
        assert body["spec"]["activeDeadlineSeconds"] == 1
        body["status"]["conditions"] = [
            {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": at(2)}
        ]

    cluster.edit(JOBS, NAMESPACE, name, end)
    cluster.put(PODS, pod(f"{name}-a", of=name, exit_code=143, ended=1))


def test_a_moment_ends_all_runs_until_then_those_that_wait_too(running: FakeCluster, reconciling: Reconciling) -> None:
    reconcile(reconciling)
    annotate(running, at(0))
    reconcile(reconciling)
    assert stopped(running) == {"running": WHO}  # the other is recorded as stopped, and its Job is gone
    assert "waiting" not in [body["metadata"]["name"] for body in running.all(JOBS)]
    assert (runs(running)["waiting"].state, runs(running)["waiting"].reason) == ("stopped", "Killed")
    kubernetes_ends(running, "running")
    reconcile(reconciling)
    run = runs(running)["running"]
    assert (run.state, run.reason, run.message) == ("stopped", "Killed", f"Stopped on request of {WHO}")
    assert len(running.all(JOBS)) == 1


def test_a_run_id_ends_that_run_alone(running: FakeCluster, reconciling: Reconciling) -> None:
    annotate(running, "uid-running-1, uid-waiting")
    running.edit(JOBS, NAMESPACE, "waiting", lambda body: body["spec"]["template"]["metadata"].update(
        annotations={constants.ANNOTATION_RUN_ID: "run-1"}))  # fmt: skip
    reconcile(reconciling)
    assert stopped(running) == {}
    annotate(running, "run-1")
    reconcile(reconciling)
    assert (runs(running)["waiting"].state, runs(running)["running"].state) == ("stopped", "running")
    assert stopped(running) == {}


def test_runs_after_the_moment_are_left_alone(running: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    annotate(running, at(0))
    reconcile(reconciling)
    kubernetes_ends(running, "running")
    reconcile(reconciling)
    clock.forward(seconds=60)
    running.put(JOBS, job("next", created=50))
    running.put(PODS, pod("next-a", of="next", created=51, running=True))
    reconcile(reconciling)
    running.calls.clear()
    for _ in range(3):
        clock.forward(seconds=600)
        reconcile(Reconciling(running, settings, clock, reporter_over(running, FakeSink(), settings, clock)))
    assert running.writes == []
    assert runs(running)["next"].state == "running"
    annotate(running, at(600))
    reconcile(reconciling)
    assert "next" in stopped(running)


def test_an_operator_that_was_away_ends_what_was_meant(
    running: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    annotate(running, at(0))
    running.put(JOBS, job("later", created=3000))
    clock.moment = NOW + timedelta(seconds=3600)
    reconcile(reconciling)
    assert "running" in stopped(running)
    assert "later" not in stopped(running)


@pytest.mark.parametrize("is_done", [False, True], ids=["before the write", "after the write"])
def test_an_operator_killed_between_writes_stops_jobs_once(
    running: FakeCluster, reconciling: Reconciling, clock: FakeClock, *, is_done: bool
) -> None:
    annotate(running, at(0))
    running.fail("merge_patch", Unavailable("away", code=503), after=is_done)
    with pytest.raises(ActionsFailed, match="Job data/running: stop failed: away"):
        reconcile(reconciling)
    assert "waiting" in stopped(running)
    running.calls.clear()
    reconcile(Reconciling(running, settings, clock, reporter_over(running, FakeSink(), settings, clock)))
    patched = [call.name for call in running.writes if (call.verb, call.plural) == ("merge_patch", "jobs")]
    assert patched == ([] if is_done else ["running"])


def test_a_job_that_changes_meanwhile_is_read_again(running: FakeCluster, reconciling: Reconciling) -> None:
    annotate(running, at(0))
    running.interleave(
        "merge_patch", lambda: running.edit(JOBS, NAMESPACE, "running", lambda body: body["status"].update(ready=1))
    )
    with pytest.raises(Conflict):
        reconcile(reconciling)
    assert stopped(running) == {"waiting": WHO}
    reconcile(reconciling)
    assert "running" in stopped(running)


def test_the_pipeline_itself_is_not_written(running: FakeCluster, reconciling: Reconciling) -> None:
    annotate(running, at(0))
    reconcile(reconciling)
    (body,) = running.all(PIPELINES)
    assert body["metadata"]["annotations"] == {constants.ANNOTATION_KILL: at(0)}
    assert {call.subresource for call in running.writes if call.plural == "ingestionpipelines"} == {"status"}


def test_a_kill_that_names_nothing_is_answered_with_the_fix_once(
    running: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    annotate(running, "all")
    for number in range(3):
        running.put(JOBS, job(f"another-{number}", created=number, scheduled=False))
        reconcile(reconciling)
        clock.forward(seconds=60)
    assert stopped(running) == {}
    (found,) = [body for body in running.all(EVENTS) if body["reason"] == "InvalidKillRequest"]
    assert found["type"] == "Warning"
    assert "'all'" in found["message"]
    (body,) = running.all(PIPELINES)
    ready = next(condition for condition in parse_status(body).conditions if condition.type == "Ready")
    assert (ready.status, ready.message[: len(found["message"])]) == ("True", found["message"])
