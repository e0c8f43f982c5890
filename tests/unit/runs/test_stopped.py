"""Runs whose end was requested: stopped if that is why they ended, and otherwise what they were."""

import json

import pytest

from ingestion_operator import constants
from ingestion_operator.runs.classify import stop_time
from ingestion_operator.runs.jobs import read_job
from testing.objects import NOW, Body, at, job, pod, run_of

INTERRUPTED = json.dumps({"version": 1, "state": "failed", "reason": "Interrupted", "provisional": True})
SUCCEEDED = json.dumps({"version": 1, "state": "success", "reason": "Succeeded", "reportedBy": "workflow"})


def stopping(body: Body, seconds: float = 30) -> Body:
    body["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(seconds)
    return body


@pytest.mark.parametrize(
    ("found", "pods", "state", "reason"),
    [
        (job(condition="Failed", reason="DeadlineExceeded"), [], "stopped", "Killed"),
        (job(condition="FailureTarget", reason="DeadlineExceeded"), [pod(running=True)], "running", "Stopping"),
        (job(condition="FailureTarget", reason="DeadlineExceeded"), [pod(running=True, node_lost=True)], "stopped",
         "Killed"),
        (job(condition="FailureTarget", reason="DeadlineExceeded"), [pod(exit_code=0, message=SUCCEEDED)], "success",
         "Succeeded"),
        (job(condition="Failed", reason="DeadlineExceeded"), [pod(exit_code=0, message=SUCCEEDED)], "success",
         "Succeeded"),
        (job(condition="Failed", reason="DeadlineExceeded"), [pod(exit_code=143, message=INTERRUPTED)], "stopped",
         "Killed"),
        (job(condition="Failed", reason="DeadlineExceeded"), [pod(exit_code=1, ended=10)], "stopped", "Killed"),
        (job(), [pod(exit_code=143, ended=31)], "stopped", "Killed"),
        (job(backoff_limit=5), [pod(exit_code=143, ended=31)], "stopped", "Killed"),
        (job(suspended=True), [], "stopped", "Killed"),
        (job(condition="Complete"), [pod(exit_code=0)], "success", "Succeeded"),
        (job(), [pod(exit_code=0)], "success", "Succeeded"),
        (job(condition="Failed"), [pod(exit_code=1, ended=10)], "failed", "Error"),
        (job(), [pod(running=True)], "running", "Running"),
    ],
    ids=[
        "deadline, pod gone", "deadline, pod going", "deadline, pod on a lost node",
        "its work was done when it was stopped", "its work had been done, the Job is over",
        "the runner reported its interruption",
        "stopped between two attempts",
        "the pod ended, the Job not yet", "no other attempt follows", "stopped while it waited", "it had succeeded",
        "it succeeds all the same", "it had failed before", "it is still running",
    ],
)  # fmt: skip
def test_a_run_whose_end_was_requested(found: Body, pods: list[Body], state: str, reason: str) -> None:
    run = run_of(stopping(found), pods)
    assert (run.state, run.reason) == (state, reason)


def test_a_run_stopped_in_the_queue_ended_at_the_request() -> None:
    assert run_of(stopping(job(suspended=True), 42), []).end_time == stop_time(read_job(stopping(job(), 42)))


def test_a_deadline_without_a_request_is_a_failure() -> None:
    assert run_of(job(condition="Failed", reason="DeadlineExceeded"), []).state == "failed"


@pytest.mark.parametrize("word", ["please", "2026-03-01T12:00:30", "true"])
def test_a_stop_that_is_not_a_moment_counts_all_the_same(word: str) -> None:
    body = job(suspended=True)
    body["metadata"]["annotations"][constants.ANNOTATION_STOP] = word
    run = run_of(body, [])
    assert (run.state, run.end_time) == ("stopped", NOW)


def test_a_run_whose_secret_never_came_is_abandoned() -> None:
    body = stopping(job(suspended=True))
    body["metadata"]["annotations"][constants.ANNOTATION_ADMISSION_HOLD] = "secret"
    assert run_of(body, []).reason == "Abandoned"


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ([pod(exit_code=143, ended=31)], "Stopped on request of OpenMetadata"),
        ([], "Stopped on request of OpenMetadata before it started"),
    ],
)
def test_a_stopped_run_names_the_caller(pods: list[Body], message: str) -> None:
    body = stopping(job(condition="Failed", reason="DeadlineExceeded"))
    body["metadata"]["annotations"][constants.ANNOTATION_STOPPED_BY] = "OpenMetadata"
    assert run_of(body, pods).message == message


def test_a_stop_without_a_caller_names_none() -> None:
    assert run_of(stopping(job(suspended=True)), []).message == "Stopped on request before it started"
