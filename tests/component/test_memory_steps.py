"""Runs repeated with more memory: every write, and what comes in between."""

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Forbidden
from ingestion_operator.ports import CRONJOBS, JOBS, PODS
from testing.memory_scene import FIRST, Scene, written
from testing.objects import NAMESPACE, Body, at, settings


def test_a_run_gets_size_after_size_in_one_job_and_one_record() -> None:
    scene = Scene()
    before = len(scene.cluster.writes)
    for memory in ("512Mi", "1Gi"):
        assert scene.attempt() == memory
        scene.kubernetes.run_out_of_memory()
        scene.reconcile()
        assert (scene.run.state, scene.run.reason) == ("running", "OutOfMemory")
    assert scene.attempt() == "2Gi"
    scene.kubernetes.end(0)
    scene.settle()
    assert (scene.run.id, scene.run.state) == (scene.run_id, "success")
    assert [a.memory for a in scene.run.attempts] == ["512Mi", "1Gi", "2Gi"]
    assert scene.jobs() == [FIRST]
    assert written(scene, before) == ["merge_patch"] * 4
    assert scene.events() == [
        f"Run {scene.run_id}: Attempt 1 ran out of memory within 512Mi; the next one gets 1Gi",
        f"Run {scene.run_id}: Attempt 2 ran out of memory within 1Gi; the next one gets 2Gi",
    ]


def test_the_job_is_suspended_at_once_and_resumed_once_it_is_idle() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    suspended = scene.live()
    assert suspended["spec"]["suspend"] is True
    assert suspended["metadata"]["annotations"][constants.ANNOTATION_NEXT_MEMORY_LIMIT] == "1Gi"
    scene.reconcile()
    assert scene.live() == suspended, "Kubernetes has not noted the suspension yet"
    scene.kubernetes.sync()
    scene.reconcile()
    resumed = scene.live()
    assert resumed["spec"]["suspend"] is False
    assert constants.ANNOTATION_NEXT_MEMORY_LIMIT not in resumed["metadata"]["annotations"]
    (container,) = resumed["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert container["resources"]["requests"]["memory"] == "512Mi"
    assert container["image"] == settings().runner_image(None).image
    scene.reconcile()
    assert scene.live() == resumed, "its pod is still to come"


def test_the_next_run_begins_at_the_first_size_again() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.attempt()
    scene.kubernetes.end(0)
    scene.settle()
    scene.kubernetes.start(scene.cluster.all(CRONJOBS)[0], "nightly-2")
    assert scene.attempt() == "512Mi"


def test_no_size_left_ends_the_run_though_a_retry_is_left() -> None:
    scene = Scene(retries=1, most="1Gi")
    for _ in range(2):
        scene.attempt()
        scene.kubernetes.run_out_of_memory()
        scene.reconcile()
    assert (scene.run.state, scene.run.reason) == ("failed", "OutOfMemory")
    assert "1Gi was not enough: raise spec.retry.onOutOfMemory.maxMemory" in scene.run.message
    scene.settle()
    assert scene.live()["status"]["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert len(scene.cluster.all(PODS)) == 2, "no pod follows, and those that were keep their logs"


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_other_failures_have_the_retries_and_no_more(retries: int) -> None:
    scene = Scene(retries=retries)
    for _ in range(retries + 1):
        scene.attempt()
        scene.kubernetes.end(1)
        scene.reconcile()
    assert (scene.run.state, scene.run.reason, len(scene.run.attempts)) == ("failed", "Error", retries + 1)
    scene.settle()
    assert scene.live()["status"]["conditions"][-1]["type"] == "Failed"
    assert scene.run.reason == "Error"
    assert len(scene.cluster.all(PODS)) == retries + 1


def test_a_finished_job_is_left_alone() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.end(1)
    scene.settle()
    before = len(scene.cluster.writes)
    scene.settle()
    assert written(scene, before) == []


def test_attempts_at_one_size_without_an_operator_cost_no_size() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.kubernetes.sync()
    scene.kubernetes.run()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    for memory in ("1Gi", "2Gi"):
        assert scene.attempt() == memory
        scene.kubernetes.run_out_of_memory()
        scene.reconcile()
    assert [a.memory for a in scene.run.attempts] == ["512Mi", "512Mi", "1Gi", "2Gi"]
    assert (scene.run.state, scene.run.reason) == ("failed", "OutOfMemory")


def test_what_runs_already_is_not_taken_back() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.kubernetes.sync()
    scene.kubernetes.run()
    scene.reconcile()
    assert scene.live()["spec"].get("suspend") is not True
    assert scene.run.reason == "Running"
    scene.kubernetes.end(0)
    scene.settle()
    assert scene.run.state == "success"


def test_a_pod_created_in_the_same_moment_is_superseded() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    late = scene.cluster.all(PODS)[0] | {"status": {"phase": "Pending"}}
    late["metadata"] = late["metadata"] | {"name": "late", "uid": "late", "creationTimestamp": at(3600)}
    scene.cluster.put(PODS, late)
    scene.clock.forward(seconds=1)
    scene.reconcile()
    assert [a.reason for a in scene.run.attempts] == ["OutOfMemory", "Superseded"]
    assert scene.run.reason == "OutOfMemory"
    assert scene.attempt() == "1Gi"
    assert [a.reason for a in scene.run.attempts] == ["OutOfMemory", "Superseded", None]
    assert len(scene.events()) == 1


def test_a_job_that_changes_in_the_same_moment_is_read_again() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.cluster.interleave("merge_patch", scene.kubernetes.sync, plural="jobs")
    with pytest.raises(Conflict):
        scene.reconcile()
    assert scene.live()["spec"].get("suspend") is not True


def test_a_run_between_two_sizes_is_running_and_keeps_its_slot() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.kubernetes.sync()
    waiting = scene.kubernetes.start(scene.cluster.all(CRONJOBS)[0], "nightly-2")
    scene.cluster.edit(JOBS, NAMESPACE, "nightly-2", _make_wait)
    scene.reconcile()
    assert (scene.status.active_runs, scene.status.queued_runs) == ([scene.run_id], [waiting["metadata"]["uid"]])
    assert scene.live("nightly-2")["spec"]["suspend"] is True
    scene.attempt()
    scene.kubernetes.end(0)
    scene.settle()
    assert scene.live("nightly-2")["spec"]["suspend"] is False


def _make_wait(body: Body) -> None:
    body["metadata"]["annotations"] = {
        key: value for key, value in body["metadata"]["annotations"].items() if key != constants.ANNOTATION_SCHEDULED_AT
    } | {constants.ANNOTATION_REQUESTED_AT: at(1)}
    body["spec"] = body["spec"] | {"suspend": True}


@pytest.mark.parametrize("grows", [True, False], ids=["same Job", "another Job"])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_run_can_be_killed_at_any_time(times: int, grows: bool) -> None:
    scene = Scene(grows=grows)
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    for _ in range(times):
        scene.reconcile()
        scene.kubernetes.sync()
    scene.kill()
    scene.settle()
    assert (scene.run.state, scene.run.reason, scene.run.message) == (
        "stopped",
        "Killed",
        "Stopped on request of a person",
    )
    assert scene.kubernetes.active() == []
    assert all(body["status"]["conditions"][-1]["type"] == "Failed" for body in scene.cluster.all(JOBS))
    assert (times > 1 and not grows) or scene.jobs() == [FIRST], "a run that has begun keeps its Job"


def test_no_step_is_begun_for_a_run_that_is_being_killed() -> None:
    scene = Scene()
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.clock.forward(seconds=5)
    scene.kill()
    scene.reconcile()
    assert scene.run.reason == "OutOfMemory", "it had ended before that was asked"
    assert scene.live()["spec"].get("suspend") is not True


def test_a_kill_during_a_continuation_reaches_the_next_job() -> None:
    scene = Scene(grows=False)
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.kubernetes.sync()
    scene.cluster.interleave("create", scene.kill, plural="jobs")
    with pytest.raises(Conflict):
        scene.reconcile()
    assert len(scene.jobs()) == 2
    scene.settle()
    assert (scene.run.state, scene.run.reason) == ("stopped", "Killed")
    assert scene.kubernetes.active() == []


def test_with_an_immutable_template_the_run_continues_in_a_new_job() -> None:
    scene = Scene(grows=False, retries=1)
    assert scene.attempt() == "512Mi"
    began = scene.status
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    assert scene.attempt() == "1Gi"
    _, second = scene.jobs()
    (body,) = [job for job in scene.cluster.all(JOBS) if job["metadata"]["name"] == second]
    annotations = body["spec"]["template"]["metadata"]["annotations"]
    assert annotations[constants.ANNOTATION_RUN_ID] == scene.run_id
    assert body["metadata"]["annotations"][constants.ANNOTATION_ADMITTED_AT]
    assert body["spec"]["backoffLimit"] == 2
    assert scene.live()["metadata"]["annotations"][constants.ANNOTATION_REPLACED_BY] == second
    assert scene.live()["spec"]["suspend"] is True, "it holds the run's Secret and the CronJob's turn until the end"
    assert (scene.run.id, scene.run.job, scene.run.trigger) == (scene.run_id, second, "scheduled")
    assert scene.run.start_time == began.runs[0].start_time
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    assert scene.attempt() == "2Gi"
    scene.kubernetes.end(0)
    scene.settle()
    assert scene.run.state == "success"
    assert [a.memory for a in scene.run.attempts] == ["512Mi", "1Gi", "2Gi"]
    assert scene.jobs() == [scene.run.job]
    assert scene.kubernetes.most_active == 1


def test_a_continuation_takes_no_second_slot() -> None:
    scene = Scene(grows=False, runs=2)
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.attempt()
    scene.kubernetes.start(scene.cluster.all(CRONJOBS)[0], "nightly-2")
    scene.reconcile()
    assert scene.live("nightly-2")["spec"].get("suspend") is not True


def test_a_continuation_that_is_deleted_is_not_created_again() -> None:
    scene = Scene(grows=False)
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.attempt()
    scene.cluster.delete(JOBS, NAMESPACE, scene.run.job)
    for pod in scene.kubernetes.active():
        scene.cluster.delete(PODS, NAMESPACE, pod["metadata"]["name"])
    scene.settle()
    assert (scene.run.state, scene.run.reason) == ("failed", "JobDeleted")
    assert scene.jobs() == []


@pytest.mark.parametrize("verb", ["merge_patch", "create"])
def test_a_run_that_is_refused_more_memory_fails_with_the_reason(verb: str) -> None:
    scene = Scene(grows=verb == "merge_patch")
    scene.attempt()
    scene.kubernetes.run_out_of_memory()
    scene.reconcile()
    scene.kubernetes.sync()
    scene.cluster.fail(verb, Forbidden("HTTP 403: at most 512Mi here", code=403), plural="jobs")
    scene.reconcile()
    scene.settle()
    assert (scene.run.state, scene.run.reason) == ("failed", "OutOfMemory")
    assert "Kubernetes refuses more: HTTP 403: at most 512Mi here" in scene.run.message
    assert scene.jobs() == [FIRST]
    assert scene.kubernetes.active() == []
