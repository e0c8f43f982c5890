"""Runs that are repeated with more memory: what becomes of them, combination by combination."""

import json
from typing import Any

import pytest

from ingestion_operator import constants
from testing.objects import Body, at, growing, job, pod, run_of

INTERRUPTED = json.dumps({"version": 1, "state": "failed", "reason": "Interrupted", "provisional": True})
OWN_ACCOUNT = json.dumps({"version": 1, "state": "failed", "reason": "OutOfMemory", "message": "killed (SIGKILL)"})


def oom(name: str = "a", memory: str = "512Mi", **more: Any) -> Body:
    return pod(name, exit_code=137, terminated_reason="OOMKilled", memory=memory, **more)


def bad(name: str, memory: str = "512Mi", **more: Any) -> Body:
    return pod(name, exit_code=1, memory=memory, **more)


def annotated(body: Body, **annotations: str) -> Body:
    keys = {"stop": constants.ANNOTATION_STOP, "refused": constants.ANNOTATION_MEMORY_RESIZE_ERROR}
    body["metadata"]["annotations"] |= {keys[name]: value for name, value in annotations.items()}
    return body


def row(name: str, found: Body, pods: list[Body], state: str, reason: str, message: str = "") -> Any:
    return pytest.param(found, pods, state, reason, message, id=name)


NEXT = "Attempt 1 ran out of memory within 512Mi; the next one gets 1Gi"
GOES_ON = [
    row("a size is left", growing("1Gi"), [oom()], "running", "OutOfMemory", NEXT),
    row(
        "by the runner's own account",
        growing("1Gi"),
        [pod(exit_code=137, message=OWN_ACCOUNT, memory="512Mi")],
        "running",
        "OutOfMemory",
        NEXT,
    ),
    row("suspended for it", growing("1Gi", step="1Gi", failed=1), [oom()], "running", "OutOfMemory", NEXT),
    row("suspended, and its pod is gone", growing("1Gi", step="1Gi"), [], "running", "OutOfMemory", "one gets 1Gi"),
    row("resumed, no pod yet", growing("1Gi", memory="1Gi", failed=1), [oom()], "running", "OutOfMemory", NEXT),
    row(
        "the second size",
        growing("1Gi", "2Gi", memory="1Gi", failed=1),
        [oom("a"), oom("b", "1Gi", created=60)],
        "running",
        "OutOfMemory",
        "Attempt 2 ran out of memory within 1Gi; the next one gets 2Gi",
    ),
    row(
        "the new size runs",
        growing("1Gi", memory="1Gi"),
        [oom(), pod("b", created=60, running=True, memory="1Gi")],
        "running",
        "Running",
        "Attempt 2 runs in pod b",
    ),
    row(
        "the new size works",
        growing("1Gi", memory="1Gi"),
        [oom(), pod("b", created=60, exit_code=0, memory="1Gi")],
        "success",
        "Succeeded",
    ),
    row(
        "memory uses up no retry",
        growing("1Gi", memory="1Gi", retries=1),
        [oom(), bad("b", "1Gi", created=60)],
        "running",
        "Retrying",
    ),
    row(
        "a retry uses up no size",
        growing("1Gi", retries=1),
        [bad("a"), oom("b", created=60)],
        "running",
        "OutOfMemory",
    ),
    row(
        "an absent operator has let the same size run",
        growing("1Gi"),
        [oom(), pod("b", created=60, running=True, memory="512Mi")],
        "running",
        "Running",
    ),
    row(
        "it ran out of memory twice at the same size",
        growing("1Gi", "2Gi"),
        [oom(), oom("b", created=60)],
        "running",
        "OutOfMemory",
        "Attempt 2 ran out of memory within 512Mi; the next one gets 1Gi",
    ),
    row("an eviction costs nothing", growing("1Gi"), [pod(exit_code=143, disrupted="X", memory="512Mi")], "running",
        "Retrying"),
    row("suspended by another client", job(suspended=True), [oom()], "queued", "Queued"),
]  # fmt: skip
IS_OVER = [
    row("another failure without retries", growing("1Gi"), [bad("a")], "failed", "Error"),
    row(
        "more other failures than retries",
        growing("1Gi", "2Gi", retries=1),
        [bad("a"), bad("b", created=60)],
        "failed",
        "Error",
    ),
    row(
        "another failure at the new size",
        growing("1Gi", "2Gi", memory="1Gi"),
        [oom(), bad("b", "1Gi", created=60)],
        "failed",
        "Error",
    ),
    row(
        "a failure whose pod is gone counts too",
        growing("1Gi", retries=1, failed=2),
        [bad("b", created=60)],
        "failed",
        "Error",
    ),
    row(
        "no size left, though a retry is",
        growing("1Gi", memory="1Gi", retries=1),
        [oom(), oom("b", "1Gi", created=60)],
        "failed",
        "OutOfMemory",
        "Pod b: OutOfMemory, exit code 137. 1Gi was not enough: raise spec.retry.onOutOfMemory.maxMemory",
    ),
    row(
        "wrong configuration",
        growing("1Gi", retries=1),
        [pod(exit_code=2, memory="512Mi")],
        "failed",
        "Error",
    ),
    row(
        "every attempt used up at the same size",
        growing("1Gi"),
        [oom(), oom("b", created=60)],
        "failed",
        "OutOfMemory",
        "no attempt was left",
    ),
    row(
        "the Job has failed",
        growing("1Gi", condition="Failed"),
        [oom(), oom("b", created=60)],
        "failed",
        "OutOfMemory",
        "512Mi was not enough, and no attempt was left",
    ),
    row(
        "Kubernetes refused more",
        annotated(growing("1Gi", condition="Failed"), refused="policy: at most 512Mi"),
        [oom()],
        "failed",
        "OutOfMemory",
        "Kubernetes rejects a higher limit: policy: at most 512Mi",
    ),
    row(
        "without onOutOfMemory",
        job(),
        [oom()],
        "failed",
        "OutOfMemory",
        "512Mi was not enough: raise spec.podTemplate.container.resources.limits.memory, or set",
    ),
    row(
        "killed while suspended for memory",
        annotated(growing("1Gi", step="1Gi"), stop=at(60)),
        [oom()],
        "stopped",
        "Killed",
        "Stopped on request",
    ),
    row(
        "that Job has then failed",
        annotated(growing("1Gi", step="1Gi") | {"status": job(condition="Failed")["status"]}, stop=at(60)),
        [oom()],
        "stopped",
        "Killed",
    ),
    row("killed, then out of memory", annotated(growing("1Gi"), stop=at(40)), [oom(ended=50)], "stopped", "Killed"),
]


@pytest.mark.parametrize(("found", "pods", "state", "reason", "message"), GOES_ON + IS_OVER)
def test_a_run_that_may_grow(found: Body, pods: list[Body], state: str, reason: str, message: str) -> None:
    run = run_of(found, pods)
    assert (run.state, run.reason) == (state, reason)
    assert message in run.message
    assert (run.end_time is not None) == (state not in ("running", "queued"))


def test_a_run_that_was_killed_between_two_sizes_had_begun() -> None:
    assert run_of(annotated(growing("1Gi", step="1Gi"), stop=at(60)), [oom()]).message == "Stopped on request"


def test_each_attempt_has_its_memory_limit() -> None:
    run = run_of(growing("1Gi", memory="1Gi"), [oom(), pod("b", created=60, running=True, memory="1Gi")])
    assert [(a.memory, a.reason) for a in run.attempts] == [("512Mi", "OutOfMemory"), ("1Gi", None)]


SUSPENDED = growing("1Gi", step="1Gi", failed=1)
RESUMED = growing("1Gi", memory="1Gi", failed=1)


@pytest.mark.parametrize("found", [SUSPENDED, RESUMED], ids=["suspended", "resumed"])
@pytest.mark.parametrize(
    "taken_back",
    [
        pod("b", created=60, memory="512Mi"),
        pod("b", created=60, running=True, memory="512Mi"),
        pod("b", created=60, exit_code=143, message=INTERRUPTED, memory="512Mi"),
        pod("b", created=60, exit_code=137, message=INTERRUPTED, memory="512Mi"),
    ],
    ids=["not begun", "ending", "interrupted", "killed after its grace period"],
)
def test_an_attempt_that_was_taken_back_counts_nowhere(found: Body, taken_back: Body) -> None:
    run = run_of(found, [oom(), taken_back])
    assert (run.state, run.reason) == ("running", "OutOfMemory")
    assert NEXT in run.message
    assert [a.reason for a in run.attempts] == ["OutOfMemory", "Superseded"]


@pytest.mark.parametrize(
    ("found", "pods"),
    [
        (growing("1Gi"), [oom(), pod("b", created=60, exit_code=143, message=INTERRUPTED, memory="512Mi")]),
        (RESUMED, [pod("b", exit_code=143, message=INTERRUPTED, memory="512Mi"), oom("c", created=60)]),
        (RESUMED, [oom(), pod("b", created=60, exit_code=143, message=INTERRUPTED, memory="1Gi")]),
        (RESUMED, [oom(), pod("b", created=60, exit_code=1, memory="512Mi")]),
    ],
    ids=["it is not undone", "before memory ran out", "of the new size", "it failed by itself"],
)
def test_any_other_interruption_keeps_its_reason(found: Body, pods: list[Body]) -> None:
    assert "Superseded" not in [attempt.reason for attempt in run_of(found, pods).attempts]


def test_a_run_that_kueue_admits_has_no_sizes() -> None:
    found = growing("1Gi")
    found["metadata"]["labels"][constants.LABEL_QUEUE_NAME] = "batch"
    assert run_of(found, [oom()]).reason == "Retrying"
