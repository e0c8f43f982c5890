"""Runs that are disrupted again and again come to an end, for the right reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.runs import history
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.retry import disruptions
from testing.objects import NOW, Body, at, growing, job, job_records, pod, pod_records, run_of

LIMIT = 5
LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
USAGE = "Container ingestion was using 1Gi, request is 512Mi, has larger consumption of memory. "
CAUSES = [
    "EvictionByEvictionAPI",
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "DeletionByPodGC",
    "TerminationByKubelet",
]


def disrupted(number: int, cause: str = "EvictionByEvictionAPI", **more: Any) -> Body:
    return pod(f"p{number:02}", created=number * 100, exit_code=143, disrupted=cause, ended=number * 100 + 90, **more)


def evicted(number: int, message: str = LOW + USAGE, **more: Any) -> Body:
    """A pod that the kubelet evicted since its node ran short."""
    return disrupted(number, "TerminationByKubelet", status_reason="Evicted", status_message=message, **more)


def failed(number: int) -> Body:
    return pod(f"p{number:02}", created=number * 100, exit_code=1, ended=number * 100 + 90)


def runs_of(body: Body, pods: list[Body], known: list[Run] | None = None) -> list[Run]:
    return history.runs_of(job_records([body]), pod_records(pods), known or [], NOW, gone=())


def decided(body: Body, pods: list[Body], known: list[Run] | None = None, limit: int = LIMIT) -> list[PatchJob]:
    return disruptions.decide(job_records([body]), pod_records(pods), runs_of(body, pods, known), limit)


def verdict(patch: PatchJob) -> str:
    return str(patch.annotations[constants.ANNOTATION_TERMINATED_REASON])


def ended_with(body: Body, patch: PatchJob) -> Body:
    """The Job after the patch, as Kubernetes then ends it."""
    body["metadata"]["annotations"] |= patch.annotations
    body["spec"] |= patch.spec
    body["status"]["conditions"] = job(condition="Failed", reason="DeadlineExceeded")["status"]["conditions"]
    return body


@pytest.mark.parametrize("cause", CAUSES)
def test_a_run_that_is_disrupted_too_often_fails(cause: str) -> None:
    pods = [disrupted(number, cause) for number in range(LIMIT)]
    assert decided(job(), pods) == []
    body, pods = job(), [*pods, disrupted(LIMIT, cause)]
    (patch,) = decided(body, pods)
    assert patch.spec == {"activeDeadlineSeconds": 1}
    run = run_of(ended_with(body, patch), pods)
    assert (run.state, run.reason, run.disruptions) == ("failed", "DisruptedTooOften", 6)
    assert f"with their node 6 times; the last time: {cause} of pod p05 on node node-1" in run.message
    assert "retry.disruptions allows 5" in run.message
    assert "raise spec.retry.disruptions" in run.message


def test_a_limit_of_0_ends_a_run_at_its_first_disruption() -> None:
    (patch,) = decided(job(), [disrupted(0)], limit=0)
    assert "with their node once;" in verdict(patch)


def test_a_disruption_counts_once() -> None:
    dying = pod("p00", running=True, disrupted="EvictionByEvictionAPI")
    known: list[Run] = []
    for pods in ([dying], [dying], [disrupted(0)], [disrupted(0), pod("p01", created=200, running=True)], [], []):
        known = runs_of(job(), pods, known)
        assert known[0].disruptions == 1


@given(st.lists(st.booleans(), max_size=60), st.randoms())
def test_every_disruption_counts_though_its_pod_is_gone(fates: list[bool], random: Any) -> None:
    """Each pod is drained or fails by itself, and any of them may be gone by the next reconciliation."""
    known: list[Run] = []
    pods: list[Body] = []
    for number, is_drained in enumerate(fates):
        pods = [*random.sample(pods, random.randint(0, len(pods))), disrupted(number) if is_drained else failed(number)]
        known = runs_of(job(backoff_limit=99), pods, known)
    assert (known[0].disruptions if known else None) == (sum(fates) or None)


def test_drained_pods_that_are_gone_end_the_run_too() -> None:
    known: list[Run] = []
    for number in range(LIMIT + 1):
        assert decided(job(), [], known) == []
        known = runs_of(job(), [disrupted(number)], known)
    (patch,) = decided(job(), [], known)
    assert verdict(patch).startswith("DisruptedTooOften: ")


@pytest.mark.parametrize(
    ("retries", "pods", "is_over"),
    [
        (0, [evicted(0)], True),
        (1, [evicted(0)], False),
        (1, [evicted(0), evicted(1)], True),
        (1, [failed(0), evicted(1)], True),
        (1, [evicted(0), failed(1)], True),
        (2, [evicted(0), failed(1)], False),
        (0, [evicted(0), pod("p01", created=200, running=True)], True),
        (0, [evicted(0, LOW)], False),
        (1, [disrupted(0), evicted(1)], False),
    ],
    ids=[
        "no retry", "a retry is left", "none is left", "a failure counts too", "in any order", "one of two is left",
        "another pod has started", "it used no more than requested", "a drain does not count",
    ],
)  # fmt: skip
def test_evictions_for_the_own_use_are_attempts(retries: int, pods: list[Body], *, is_over: bool) -> None:
    body = job(backoff_limit=retries)
    assert run_of(body, pods).state == "running"
    assert [verdict(patch)[:9] for patch in decided(body, pods)] == (["Evicted: "] if is_over else [])


def test_an_eviction_for_its_own_use_names_what_to_raise() -> None:
    body, pods = job(), [evicted(0), pod("p01", created=200, running=True)]
    (patch,) = decided(body, pods)
    run = run_of(ended_with(body, patch), pods[:1])
    assert (run.state, run.reason, run.disruptions) == ("failed", "Evicted", None)
    assert "Evicted once under node pressure, for using more than requested" in run.message
    assert "raise the requests in spec.podTemplate.container.resources, or spec.retry.limit" in run.message
    assert "A pod that had started in the meantime was terminated with the Job" in run.message
    assert "Container ingestion was using 1Gi, request is 512Mi" in run.message


def test_the_record_shows_that_no_retry_is_left() -> None:
    run = run_of(job(), [evicted(0)])
    assert (run.state, run.reason) == ("running", "Retrying")
    assert run.message == "Attempt 1 ended (Evicted); no retry is left and the Job is terminated"


def test_an_eviction_for_a_limit_counts_as_kubernetes_counts_it() -> None:
    over_limit = pod(
        exit_code=137, status_reason="Evicted", status_message='Usage of EmptyDir volume "tmp" exceeds 1Gi'
    )
    assert decided(job(), [over_limit]) == []
    assert (run_of(job(), [over_limit]).state, run_of(job(), [over_limit]).reason) == ("failed", "Evicted")
    assert run_of(job(backoff_limit=1), [over_limit]).reason == "Retrying"


def test_memory_steps_are_not_taken_for_retries() -> None:
    out_of_memory = pod("p00", exit_code=137, terminated_reason="OOMKilled", memory="512Mi")
    body = growing("1Gi", "2Gi", memory="1Gi", retries=1, failed=1)
    assert decided(body, [out_of_memory, evicted(1, memory="1Gi")]) == []
    assert decided(body, [out_of_memory, evicted(1, memory="1Gi"), evicted(2, memory="1Gi")]) != []


@pytest.mark.parametrize("key", [constants.ANNOTATION_STOP, constants.ANNOTATION_TERMINATED_REASON])
def test_a_job_that_is_ending_is_not_ended_again(key: str) -> None:
    body, pods = job(), [disrupted(number) for number in range(9)]
    body["metadata"]["annotations"][key] = at(0)
    assert decided(body, pods) == []
    assert decided(job(condition="Complete"), pods) == []
    assert decided(job(suspended=True), pods) == []


def test_a_run_that_succeeds_in_its_last_pod_has_succeeded() -> None:
    pods = [*(disrupted(number) for number in range(9)), pod("p99", created=2000, exit_code=0)]
    assert decided(job(), pods) == []
    assert run_of(job(condition="Complete"), pods).state == "success"
