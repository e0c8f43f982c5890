"""Runs repeated with more memory: every write, and what comes in between."""

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Forbidden
from ingestion_operator.ports import CRONJOBS, JOBS, PODS
from testing.memory_simulation import FIRST, MemorySimulation, written
from testing.objects import NAMESPACE, Body, at, settings


def test_a_run_gets_size_after_size_in_one_job_and_one_record() -> None:
    simulation = MemorySimulation()
    before = len(simulation.cluster.writes)
    for memory in ("512Mi", "1Gi"):
        assert simulation.attempt() == memory
        simulation.kubernetes.run_out_of_memory()
        simulation.reconcile()
        assert (simulation.run.state, simulation.run.reason) == ("running", "OutOfMemory")
    assert simulation.attempt() == "2Gi"
    simulation.kubernetes.end(0)
    simulation.settle()
    assert (simulation.run.id, simulation.run.state) == (simulation.run_id, "success")
    assert [a.memory for a in simulation.run.attempts] == ["512Mi", "1Gi", "2Gi"]
    assert simulation.jobs() == [FIRST]
    assert written(simulation, before) == ["merge_patch"] * 4
    assert simulation.events() == [
        f"Run {simulation.run_id}: Attempt 1 ran out of memory within 512Mi; the next one gets 1Gi",
        f"Run {simulation.run_id}: Attempt 2 ran out of memory within 1Gi; the next one gets 2Gi",
    ]


def test_the_job_is_suspended_and_resumed_once_it_is_idle() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    suspended = simulation.live()
    assert suspended["spec"]["suspend"] is True
    assert suspended["metadata"]["annotations"][constants.ANNOTATION_NEXT_MEMORY_LIMIT] == "1Gi"
    simulation.reconcile()
    assert simulation.live() == suspended, "Kubernetes has not noted the suspension yet"
    simulation.kubernetes.sync()
    simulation.reconcile()
    resumed = simulation.live()
    assert resumed["spec"]["suspend"] is False
    assert constants.ANNOTATION_NEXT_MEMORY_LIMIT not in resumed["metadata"]["annotations"]
    (container,) = resumed["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert container["resources"]["requests"]["memory"] == "512Mi"
    assert container["image"] == settings().runner_image(None).image
    simulation.reconcile()
    assert simulation.live() == resumed, "its pod is still to come"


def test_the_next_run_begins_at_the_first_size_again() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.attempt()
    simulation.kubernetes.end(0)
    simulation.settle()
    simulation.kubernetes.start(simulation.cluster.all(CRONJOBS)[0], "nightly-2")
    assert simulation.attempt() == "512Mi"


def test_no_size_left_ends_the_run_though_a_retry_is_left() -> None:
    simulation = MemorySimulation(retries=1, most="1Gi")
    for _ in range(2):
        simulation.attempt()
        simulation.kubernetes.run_out_of_memory()
        simulation.reconcile()
    assert (simulation.run.state, simulation.run.reason) == ("failed", "OutOfMemory")
    assert "1Gi was not enough: raise spec.retry.onOutOfMemory.maxMemory" in simulation.run.message
    simulation.settle()
    assert simulation.live()["status"]["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert len(simulation.cluster.all(PODS)) == 2, "no pod follows, and those that were keep their logs"


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_other_failures_have_the_retries_and_no_more(retries: int) -> None:
    simulation = MemorySimulation(retries=retries)
    for _ in range(retries + 1):
        simulation.attempt()
        simulation.kubernetes.end(1)
        simulation.reconcile()
    assert (simulation.run.state, simulation.run.reason, len(simulation.run.attempts)) == (
        "failed",
        "Error",
        retries + 1,
    )
    simulation.settle()
    assert simulation.live()["status"]["conditions"][-1]["type"] == "Failed"
    assert simulation.run.reason == "Error"
    assert len(simulation.cluster.all(PODS)) == retries + 1


def test_a_finished_job_is_left_alone() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.end(1)
    simulation.settle()
    before = len(simulation.cluster.writes)
    simulation.settle()
    assert written(simulation, before) == []


def test_attempts_at_one_size_without_an_operator_cost_no_size() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.kubernetes.sync()
    simulation.kubernetes.run()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    for memory in ("1Gi", "2Gi"):
        assert simulation.attempt() == memory
        simulation.kubernetes.run_out_of_memory()
        simulation.reconcile()
    assert [a.memory for a in simulation.run.attempts] == ["512Mi", "512Mi", "1Gi", "2Gi"]
    assert (simulation.run.state, simulation.run.reason) == ("failed", "OutOfMemory")


def test_what_runs_already_is_not_taken_back() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.kubernetes.sync()
    simulation.kubernetes.run()
    simulation.reconcile()
    assert simulation.live()["spec"].get("suspend") is not True
    assert simulation.run.reason == "Running"
    simulation.kubernetes.end(0)
    simulation.settle()
    assert simulation.run.state == "success"


def test_a_pod_created_in_the_same_moment_is_superseded() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    late = simulation.cluster.all(PODS)[0] | {"status": {"phase": "Pending"}}
    late["metadata"] = late["metadata"] | {"name": "late", "uid": "late", "creationTimestamp": at(3600)}
    simulation.cluster.put(PODS, late)
    simulation.clock.forward(seconds=1)
    simulation.reconcile()
    assert [a.reason for a in simulation.run.attempts] == ["OutOfMemory", "Superseded"]
    assert simulation.run.reason == "OutOfMemory"
    assert simulation.attempt() == "1Gi"
    assert [a.reason for a in simulation.run.attempts] == ["OutOfMemory", "Superseded", None]
    assert len(simulation.events()) == 1


def test_a_job_that_changes_in_the_same_moment_is_read_again() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.cluster.interleave("merge_patch", simulation.kubernetes.sync, plural="jobs")
    with pytest.raises(Conflict):
        simulation.reconcile()
    assert simulation.live()["spec"].get("suspend") is not True


def test_a_run_between_two_sizes_is_running_and_keeps_its_slot() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.kubernetes.sync()
    waiting = simulation.kubernetes.start(simulation.cluster.all(CRONJOBS)[0], "nightly-2")
    simulation.cluster.edit(JOBS, NAMESPACE, "nightly-2", _make_wait)
    simulation.reconcile()
    assert (simulation.status.active_runs, simulation.status.queued_runs) == (
        [simulation.run_id],
        [waiting["metadata"]["uid"]],
    )
    assert simulation.live("nightly-2")["spec"]["suspend"] is True
    simulation.attempt()
    simulation.kubernetes.end(0)
    simulation.settle()
    assert simulation.live("nightly-2")["spec"]["suspend"] is False


def _make_wait(body: Body) -> None:
    body["metadata"]["annotations"] = {
        key: value for key, value in body["metadata"]["annotations"].items() if key != constants.ANNOTATION_SCHEDULED_AT
    } | {constants.ANNOTATION_REQUESTED_AT: at(1)}
    body["spec"] = body["spec"] | {"suspend": True}


@pytest.mark.parametrize("grows", [True, False], ids=["same Job", "another Job"])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_run_can_be_killed_at_any_time(times: int, grows: bool) -> None:
    simulation = MemorySimulation(grows=grows)
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    for _ in range(times):
        simulation.reconcile()
        simulation.kubernetes.sync()
    simulation.kill()
    simulation.settle()
    assert (simulation.run.state, simulation.run.reason, simulation.run.message) == (
        "stopped",
        "Killed",
        "Stopped on request of a person",
    )
    assert simulation.kubernetes.active() == []
    assert all(body["status"]["conditions"][-1]["type"] == "Failed" for body in simulation.cluster.all(JOBS))
    assert (times > 1 and not grows) or simulation.jobs() == [FIRST], "a run that has begun keeps its Job"


def test_no_step_is_begun_for_a_run_that_is_being_killed() -> None:
    simulation = MemorySimulation()
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.clock.forward(seconds=5)
    simulation.kill()
    simulation.reconcile()
    assert simulation.run.reason == "OutOfMemory", "it had ended before that was asked"
    assert simulation.live()["spec"].get("suspend") is not True


def test_a_kill_during_a_continuation_reaches_the_next_job() -> None:
    simulation = MemorySimulation(grows=False)
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.kubernetes.sync()
    simulation.cluster.interleave("create", simulation.kill, plural="jobs")
    with pytest.raises(Conflict):
        simulation.reconcile()
    assert len(simulation.jobs()) == 2
    simulation.settle()
    assert (simulation.run.state, simulation.run.reason) == ("stopped", "Killed")
    assert simulation.kubernetes.active() == []


def test_an_immutable_template_leads_to_a_new_job() -> None:
    simulation = MemorySimulation(grows=False, retries=1)
    assert simulation.attempt() == "512Mi"
    began = simulation.status
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    assert simulation.attempt() == "1Gi"
    _, second = simulation.jobs()
    (body,) = [job for job in simulation.cluster.all(JOBS) if job["metadata"]["name"] == second]
    annotations = body["spec"]["template"]["metadata"]["annotations"]
    assert annotations[constants.ANNOTATION_RUN_ID] == simulation.run_id
    assert body["metadata"]["annotations"][constants.ANNOTATION_ADMITTED_AT]
    assert body["spec"]["backoffLimit"] == 2
    assert simulation.live()["metadata"]["annotations"][constants.ANNOTATION_REPLACED_BY] == second
    assert simulation.live()["spec"]["suspend"] is True, (
        "it holds the run's Secret and the CronJob's turn until the end"
    )
    assert (simulation.run.id, simulation.run.job, simulation.run.trigger) == (simulation.run_id, second, "scheduled")
    assert simulation.run.start_time == began.runs[0].start_time
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    assert simulation.attempt() == "2Gi"
    simulation.kubernetes.end(0)
    simulation.settle()
    assert simulation.run.state == "success"
    assert [a.memory for a in simulation.run.attempts] == ["512Mi", "1Gi", "2Gi"]
    assert simulation.jobs() == [simulation.run.job]
    assert simulation.kubernetes.most_active == 1


def test_a_continuation_takes_no_second_slot() -> None:
    simulation = MemorySimulation(grows=False, runs=2)
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.attempt()
    simulation.kubernetes.start(simulation.cluster.all(CRONJOBS)[0], "nightly-2")
    simulation.reconcile()
    assert simulation.live("nightly-2")["spec"].get("suspend") is not True


def test_a_continuation_that_is_deleted_is_not_created_again() -> None:
    simulation = MemorySimulation(grows=False)
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.attempt()
    simulation.cluster.delete(JOBS, NAMESPACE, simulation.run.job)
    for pod in simulation.kubernetes.active():
        simulation.cluster.delete(PODS, NAMESPACE, pod["metadata"]["name"])
    simulation.settle()
    assert (simulation.run.state, simulation.run.reason) == ("failed", "JobDeleted")
    assert simulation.jobs() == []


@pytest.mark.parametrize("verb", ["merge_patch", "create"])
def test_a_run_that_is_refused_more_memory_fails_with_the_reason(verb: str) -> None:
    simulation = MemorySimulation(grows=verb == "merge_patch")
    simulation.attempt()
    simulation.kubernetes.run_out_of_memory()
    simulation.reconcile()
    simulation.kubernetes.sync()
    simulation.cluster.fail(verb, Forbidden("HTTP 403: at most 512Mi here", code=403), plural="jobs")
    simulation.reconcile()
    simulation.settle()
    assert (simulation.run.state, simulation.run.reason) == ("failed", "OutOfMemory")
    assert "Kubernetes rejects a higher limit: HTTP 403: at most 512Mi here" in simulation.run.message
    assert simulation.jobs() == [FIRST]
    assert simulation.kubernetes.active() == []
