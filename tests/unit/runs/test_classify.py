"""The order of precedence of `classify`, row by row, strongest first."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.runs.classify import trigger
from testing.objects import Body, at, job, job_record, pod, run_of


def said(state: str, reason: str = "WorkflowFailed", **more: Any) -> str:
    """A termination message of the runner."""
    return json.dumps({"version": 1, "state": state, "reason": reason, "message": f"it was {state}"} | more)


def row(name: str, found: Body, pods: list[Body], state: str, reason: str, message: str = "") -> Any:
    return pytest.param(found, pods, state, reason, message, id=name)


COMPLETE = job(condition="Complete")
FAILED = job(condition="Failed")
FINISHED = [
    row("complete without a word", COMPLETE, [pod(exit_code=0)], "success", "Succeeded", "exit code 0"),
    row("complete without pods", COMPLETE, [], "success", "Succeeded"),
    row(
        "complete: success", COMPLETE, [pod(exit_code=0, message=said("success", "Succeeded"))], "success", "Succeeded"
    ),
    row(
        "complete: partial",
        COMPLETE,
        [pod(exit_code=0, message=said("partialSuccess", "Partial"))],
        "partialSuccess",
        "Partial",
        "it was partialSuccess",
    ),
    row(
        "complete, though the runner said failed",
        COMPLETE,
        [pod(exit_code=0, message=said("failed"))],
        "success",
        "Succeeded",
    ),
    row("success criteria met", job(condition="SuccessCriteriaMet"), [pod(exit_code=0)], "success", "Succeeded"),
    row("failed without pods", FAILED, [], "failed", "BackoffLimitExceeded", "reached the specified backoff limit"),
    row("node lost", job(), [pod(running=True, node_lost=True)], "running", "NodeLost"),
    row("failure target", job(condition="FailureTarget"), [], "failed", "BackoffLimitExceeded"),
    row(
        "failed with outcome",
        FAILED,
        [pod(exit_code=1, message=said("failed"))],
        "failed",
        "WorkflowFailed",
        "it was failed",
    ),
    row(
        "stopped by the runner",
        FAILED,
        [pod(exit_code=3, message=said("stopped", "OutsideSchedule"))],
        "stopped",
        "OutsideSchedule",
    ),
    row(
        "failed without outcome", FAILED, [pod(exit_code=1)], "failed", "Error", "Pod nightly-1-a: Error, exit code 1."
    ),
    row(
        "out of memory beats the outcome",
        FAILED,
        [pod(exit_code=137, terminated_reason="OOMKilled", message=said("failed"))],
        "failed",
        "OutOfMemory",
        "exit code 137",
    ),
    row(
        "eviction beats the outcome",
        FAILED,
        [pod(exit_code=143, status_reason="Evicted", message=said("failed", "Interrupted"))],
        "failed",
        "Evicted",
    ),
    row(
        "deadline of the attempt",
        FAILED,
        [pod(exit_code=143, status_reason="DeadlineExceeded")],
        "failed",
        "DeadlineExceeded",
    ),
    row(
        "evicted without container status",
        FAILED,
        [pod(phase="Failed", status_reason="Evicted")],
        "failed",
        "Evicted",
        "Pod nightly-1-a: Evicted. Job has",
    ),
    row(
        "deadline of the Job, pod gone",
        job(condition="Failed", reason="DeadlineExceeded"),
        [],
        "failed",
        "DeadlineExceeded",
    ),
    row("complete beats a running pod", COMPLETE, [pod(running=True)], "success", "Succeeded"),
    row("failed beats suspended", job(condition="Failed", suspended=True), [], "failed", "BackoffLimitExceeded"),
]
BEFORE_THE_JOB_SHOWS_IT = [
    row("exit 0", job(), [pod(exit_code=0, message=said("success", "Succeeded"))], "success", "Succeeded"),
    row("no retry left", job(), [pod(exit_code=1, message=said("failed"))], "failed", "WorkflowFailed"),
    row(
        "last retry used",
        job(backoff_limit=1),
        [pod("a", exit_code=1), pod("b", created=9, exit_code=1)],
        "failed",
        "Error",
    ),
    row(
        "wrong configuration",
        job(backoff_limit=5),
        [pod(exit_code=2, message=said("failed", "InvalidConfiguration"))],
        "failed",
        "InvalidConfiguration",
    ),
    row(
        "outside schedule",
        job(backoff_limit=5),
        [pod(exit_code=3, message=said("stopped", "OutsideSchedule"))],
        "stopped",
        "OutsideSchedule",
    ),
    row(
        "wrong configuration in a drained pod",
        job(),
        [pod(exit_code=2, disrupted="EvictionByEvictionAPI")],
        "failed",
        "EvictionByEvictionAPI",
    ),
]
ACTIVE = [
    row("retry follows", job(backoff_limit=1), [pod(exit_code=1)], "running", "Retrying", "Attempt 1 ended (Error)"),
    row(
        "a drained pod is repeated without counting",
        job(),
        [pod(exit_code=143, disrupted="EvictionByEvictionAPI")],
        "running",
        "Retrying",
        "EvictionByEvictionAPI",
    ),
    row(
        "a drained pod uses up no retry",
        job(backoff_limit=1),
        [pod("a", exit_code=143, disrupted="PreemptionByScheduler"), pod("b", created=9, exit_code=1)],
        "running",
        "Retrying",
    ),
    row("phase Failed, end unknown", job(), [pod(phase="Failed")], "running", "Retrying"),
    row("runs", job(), [pod(running=True)], "running", "Running", "Attempt 1 runs in pod nightly-1-a"),
    row(
        "second attempt runs",
        job(backoff_limit=1),
        [pod("a", exit_code=1), pod("b", created=9, running=True)],
        "running",
        "Running",
        "Attempt 2 runs in pod b",
    ),
    row("suspended beats pods", job(suspended=True), [pod(running=True)], "queued", "Queued", "Waits for a free slot"),
    row("no pod yet", job(), [], "queued", "Pending", "Waits for its pod"),
    row(
        "the second pod waits",
        job(backoff_limit=1),
        [pod("a", exit_code=1), pod("b", created=9, waiting=("ContainerCreating", ""))],
        "running",
        "Retrying",
        "Pod b waits",
    ),
    row(
        "the second pod fits nowhere",
        job(backoff_limit=1),
        [pod("a", exit_code=1), pod("b", created=9, unschedulable="0/3 nodes are available")],
        "running",
        "Unschedulable",
        "0/3 nodes",
    ),
    row(
        "suspended by a user after an attempt",
        job(suspended=True, backoff_limit=1),
        [pod(exit_code=1)],
        "queued",
        "Queued",
    ),
    row("pod pending", job(), [pod()], "queued", "Pending"),
    row(
        "image cannot be pulled",
        job(),
        [pod(waiting=("ImagePullBackOff", "no such image"))],
        "queued",
        "ImagePullBackOff",
        "Pod nightly-1-a waits: its image cannot be pulled: no such image; correct the image",
    ),
    row("no node fits", job(), [pod(unschedulable="0/3 nodes are available")], "queued", "Unschedulable", "0/3 nodes"),
    row("waits without message", job(), [pod(waiting=("ContainerCreating", ""))], "queued", "ContainerCreating"),
]


@pytest.mark.parametrize(("found", "pods", "state", "reason", "message"), FINISHED + BEFORE_THE_JOB_SHOWS_IT + ACTIVE)
def test_classify_names_the_state_and_its_reason(
    found: Body, pods: list[Body], state: str, reason: str, message: str
) -> None:
    run = run_of(found, pods)
    assert (run.state, run.reason) == (state, reason)
    assert message in run.message
    assert (run.end_time is not None) == (state in FINISHED_STATES)


def test_the_end_is_that_of_the_last_container_else_of_the_job() -> None:
    with_pod = run_of(job(condition="Complete", ended=60), [pod(exit_code=0, ended=50)])
    without = run_of(job(condition="Failed", ended=60), [])
    assert with_pod.end_time is not None
    assert without.end_time is not None
    assert format_timestamp(with_pod.end_time) == at(50)
    assert format_timestamp(without.end_time) == at(60)


def test_attempts_are_in_the_order_of_their_creation() -> None:
    pods = [pod("c", created=9, running=True), pod("a", created=5, exit_code=1), pod("b", created=1, exit_code=1)]
    run = run_of(job(backoff_limit=5), pods)
    assert [attempt.pod for attempt in run.attempts] == ["b", "a", "c"]
    assert [attempt.exit_code for attempt in run.attempts] == [1, 1, None]
    assert run.attempts[0].node == "node-1"
    assert run.attempts[0].end_time is not None
    assert run.attempts[2].end_time is None


def test_the_summary_is_the_last_outcome_that_counted() -> None:
    message = said("partialSuccess", "Partial", records=12, errors=1)
    run = run_of(job(condition="Complete"), [pod(exit_code=0, message=message)])
    assert run.summary is not None
    assert run.summary.model_dump() == {"records": 12, "warnings": 0, "errors": 1}
    assert run_of(job(condition="Complete"), [pod(exit_code=0, message=said("success", "Succeeded"))]).summary is None


def test_the_run_id_is_the_callers_else_the_jobs_uid() -> None:
    assert run_of(job(run_id="chosen")).id == "chosen"
    assert run_of(job(uid="the-uid")).id == "the-uid"


def test_a_run_id_longer_than_the_status_takes_is_cut() -> None:
    assert len(run_of(job(run_id="x" * 200), []).id) == 64


def test_the_trigger_follows_from_the_annotation() -> None:
    assert trigger(job_record(scheduled=True)) == "scheduled"
    assert trigger(job_record(scheduled=False)) == "manual"


def test_a_run_keeps_its_last_attempts() -> None:
    pods = [pod(f"p{n:02}", created=n, exit_code=143, disrupted="EvictionByEvictionAPI") for n in range(40)]
    run = run_of(job(), pods)
    assert [attempt.pod for attempt in run.attempts] == [f"p{n:02}" for n in range(8, 40)]


TEXT = st.text(max_size=2000)


@given(
    st.sampled_from([None, "Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"]),
    st.booleans(),
    st.integers(0, 3),
    TEXT,
    st.lists(
        st.fixed_dictionaries(
            {
                "exit_code": st.none() | st.integers(0, 255),
                "message": TEXT,
                "running": st.booleans(),
                "waiting": st.none() | st.tuples(TEXT, TEXT),
                "status_reason": st.none() | TEXT,
                "disrupted": st.none() | TEXT,
                "unschedulable": st.none() | TEXT,
                "terminated_reason": st.none() | TEXT,
            }
        ),
        max_size=4,
    ),
)
def test_any_job_and_pods_make_a_valid_record(
    condition: str | None, suspended: bool, backoff_limit: int, reason: str, described: list[dict[str, Any]]
) -> None:
    pods = [pod(f"p{number}", created=number, **words) for number, words in enumerate(described)]
    run = run_of(job(condition=condition, reason=reason, suspended=suspended, backoff_limit=backoff_limit), pods)
    written = run.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert Run.model_validate(written) == run
    assert len(run.message.encode()) <= 1024
    assert "\n" not in run.message
    assert condition is None or run.state in FINISHED_STATES or run.reason == "Stopping"


REPORTED, BY_RUNNER = {"reportedBy": "workflow"}, {"reportedBy": "runner"}
PROVISIONAL = said("failed", "Interrupted", reportedBy="runner", provisional=True)
STOPPED = job(condition="Failed", reason="DeadlineExceeded")
STOPPED["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(40)
TWO_FAILED = job(condition="Failed", backoff_limit=1)
TWO_FAILED["status"]["failed"] = 2


@pytest.mark.parametrize(
    ("found", "pods", "report"),
    [
        (job(), [], None),
        (job(), [pod(running=True)], None),
        (job(backoff_limit=1), [pod(exit_code=1, message=said("failed", **REPORTED))], None),
        (COMPLETE, [pod(exit_code=0, message=said("success", "Succeeded", **REPORTED))], "Done"),
        (job(), [pod(exit_code=0, message=said("partialSuccess", "Partial", **REPORTED))], "Done"),
        (FAILED, [pod(exit_code=1, message=said("failed", **REPORTED))], "Done"),
        (FAILED, [pod(exit_code=2, message=said("failed", "MissingPlugin", **BY_RUNNER))], "Done"),
        (FAILED, [pod(exit_code=1, message=said("failed", "ServerUnreachable", reportedBy="none"))], "Pending"),
        (FAILED, [pod(exit_code=1, message=said("failed"))], "Pending"),
        (FAILED, [pod(exit_code=143, message=PROVISIONAL)], "Pending"),
        (STOPPED, [pod(exit_code=143, message=PROVISIONAL)], "Pending"),
        (STOPPED, [pod(exit_code=1, message=said("failed", **REPORTED))], "Pending"),
        (COMPLETE, [pod(exit_code=0)], "Pending"),
        (COMPLETE, [], "Pending"),
        (COMPLETE, [pod(exit_code=0, message=said("failed", **REPORTED))], "Pending"),
        (FAILED, [pod("a", exit_code=1, message=said("failed", **REPORTED)), pod("b", created=60)], "Pending"),
        (
            FAILED,
            [pod("a", exit_code=1, message=said("failed", **REPORTED)), pod("b", created=60, exit_code=9)],
            "Pending",
        ),
        (TWO_FAILED, [pod(exit_code=1, message=said("failed", **REPORTED))], "Pending"),
        (FAILED, [pod(exit_code=3, message=said("stopped", "OutsideSchedule", reportedBy="none"))], "Pending"),
    ],
)
def test_the_last_attempt_decides_whether_a_run_is_reported(found: Body, pods: list[Body], report: str | None) -> None:
    assert run_of(found, pods).report == report
