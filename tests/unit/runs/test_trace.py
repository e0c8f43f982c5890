"""Spans from lives of runs: what each second of a run went into, and ids that do not depend on who derives them."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.api.status import Attempt, Condition, PipelineStatus, Run
from ingestion_operator.constants import (
    ANNOTATION_ADMITTED_AT,
    ANNOTATION_REQUESTED_AT,
    ANNOTATION_SCHEDULED_AT,
)
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import read_job
from ingestion_operator.runs.trace import Span, new_spans, run_spans, run_trace_id
from testing.objects import NAME, NAMESPACE, NOW, UID, Body, at, job, manifest, pod, run_of

SUCCEEDED = json.dumps({"version": 1, "state": "success", "reason": "Succeeded", "message": "m"})
FAILED = json.dumps({"version": 1, "state": "failed", "reason": "WorkflowFailed", "message": "m"})
INTERRUPTED = json.dumps({"version": 1, "state": "failed", "reason": "Interrupted", "provisional": True})

Lines = list[tuple[str, float, float]]


def pipeline(generation: int = 1) -> Body:
    """A pipeline as the API server has it."""
    body = manifest()
    body["metadata"] |= {"uid": UID, "generation": generation}
    return body


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else NOW + timedelta(seconds=seconds)


def asked_for(*, admitted: float | None = None, **fields: Any) -> Body:
    """A requested Job, which waited for its admission."""
    body = job(scheduled=False, **fields)
    body["metadata"]["annotations"][ANNOTATION_REQUESTED_AT] = at(0)
    if admitted is not None:
        body["metadata"]["annotations"][ANNOTATION_ADMITTED_AT] = at(admitted)
    return body


def ticked(tick: float, **fields: Any) -> Body:
    body = job(**fields)
    body["metadata"]["annotations"][ANNOTATION_SCHEDULED_AT] = at(tick)
    return body


def resumed(seconds: float, **fields: Any) -> Body:
    """A Job that another queue than ours has let go."""
    body = job(scheduled=False, **fields)
    body["status"]["startTime"] = at(seconds)
    return body


def spans(body: Body, *pods: Body, changed: float | None = None, generation: int = 1) -> list[Span]:
    run = run_of(body, pods)
    assert run.end_time is not None
    return run_spans(pipeline(generation), moment(changed), run, run.end_time, read_job(body))


def lines_of(found: list[Span]) -> Lines:
    def seconds(span: Span) -> tuple[float, float]:
        return (span.start - NOW).total_seconds(), (span.end - NOW).total_seconds()

    return [(span.name, *seconds(span)) for span in found]


LIVES: dict[str, tuple[list[Body], Lines]] = {
    "a tick that Kubernetes was late with": (
        [ticked(-7, condition="Complete"), pod(created=1, exit_code=0, message=SUCCEEDED)],
        [("run", -7, 50), ("queue", -7, 0), ("pod", 0, 2), ("attempt", 2, 50)],
    ),
    "asked for, and admitted after others": (
        [asked_for(admitted=20, condition="Complete"), pod(created=21, exit_code=0, message=SUCCEEDED)],
        [("run", 0, 50), ("queue", 0, 20), ("pod", 20, 22), ("attempt", 22, 50)],
    ),
    "let go by Kueue": (
        [resumed(9, condition="Complete"), pod(created=10, exit_code=0, message=SUCCEEDED)],
        [("run", 0, 50), ("queue", 0, 9), ("pod", 9, 11), ("attempt", 11, 50)],
    ),
    "suspended for more memory, which starts the Job's clock again": (
        [resumed(40, condition="Complete", backoff_limit=1), pod(created=1, exit_code=137, ended=30),
         pod("b", created=41, exit_code=0, message=SUCCEEDED, ended=80)],
        [("run", 0, 80), ("queue", 0, 0), ("pod", 0, 2), ("attempt", 2, 30), ("pod", 30, 42), ("attempt", 42, 80)],
    ),
    "a failure, then success": (
        [job(condition="Complete", backoff_limit=1), pod(exit_code=1, message=FAILED, ended=20),
         pod("b", created=30, exit_code=0, message=SUCCEEDED, ended=90)],
        [("run", 0, 90), ("queue", 0, 0), ("pod", 0, 2), ("attempt", 2, 20), ("pod", 20, 31), ("attempt", 31, 90)],
    ),
    "no pod could start": (
        [job(condition="Failed", ended=600), pod(waiting=("ImagePullBackOff", "no such image"))],
        [("run", 0, 600), ("queue", 0, 0), ("pod", 0, 600)],
    ),
    "no pod was ever made": (
        [job(condition="Failed", ended=600)],
        [("run", 0, 600), ("queue", 0, 0), ("pod", 0, 600)],
    ),
    "its second pod never started": (
        [job(condition="Failed", backoff_limit=1, ended=600), pod(exit_code=1, message=FAILED, ended=20),
         pod("b", created=30)],
        [("run", 0, 600), ("queue", 0, 0), ("pod", 0, 2), ("attempt", 2, 20), ("pod", 20, 600)],
    ),
    "killed while it ran": (
        [job(condition="Failed", reason="DeadlineExceeded"), pod(exit_code=143, message=INTERRUPTED, ended=33)],
        [("run", 0, 33), ("queue", 0, 0), ("pod", 0, 2), ("attempt", 2, 33)],
    ),
    "killed in the queue": (
        [asked_for(suspended=True, condition="Failed", reason="DeadlineExceeded", ended=44)],
        [("run", 0, 44), ("queue", 0, 44)],
    ),
    "on a node whose clock is wrong": (
        [job(created=100, condition="Complete", ended=200), pod(created=-500, exit_code=0, ended=190)],
        [("run", 100, 190), ("queue", 100, 100), ("pod", 100, 100), ("attempt", 100, 190)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
def test_a_life_becomes_spans(name: str) -> None:
    (body, *pods), expected = LIVES[name]
    assert lines_of(spans(body, *pods)) == expected


def test_without_its_job_a_run_has_spans_of_attempts() -> None:
    running = run_of(job(), [pod(running=True)])
    (lost,) = runs_of([], [], [running], NOW + timedelta(seconds=70), gone=[running.job])
    assert lost.end_time is not None
    assert lines_of(run_spans(pipeline(), None, lost, lost.end_time, None)) == [("run", 0, 70), ("attempt", 2, 70)]


def test_a_failure_has_an_error_and_a_kill_has_none() -> None:
    root, *_, attempt = spans(job(condition="Failed"), pod(exit_code=1, message=FAILED))
    assert (root.error, attempt.error) == ("m", "WorkflowFailed")
    killed = job(condition="Failed", reason="DeadlineExceeded")
    killed["metadata"]["annotations"]["ingestion.openmetadata.org/stop"] = at(30)
    assert [span.error for span in spans(killed, pod(exit_code=143, message=INTERRUPTED))] == [None] * 4


def test_spans_have_attributes() -> None:
    body = job(condition="Complete", run_id="5f0c")
    root, _, waited, attempt = spans(body, pod(exit_code=0, message=SUCCEEDED, memory="1Gi"))
    assert root.attributes == {
        "k8s.namespace.name": NAMESPACE,
        "k8s.job.name": "nightly-1",
        "ingestion.pipeline.name": NAME,
        "ingestion.pipeline.type": "metadata",
        "ingestion.run.id": "5f0c",
        "ingestion.run.trigger": "scheduled",
        "ingestion.run.state": "success",
        "ingestion.run.reason": "Succeeded",
    }
    assert waited.attributes == {"k8s.pod.name": "nightly-1-a", "ingestion.attempt": 1}
    assert attempt.attributes == {
        **waited.attributes,
        "k8s.node.name": "node-1",
        "ingestion.attempt.exit_code": 0,
        "ingestion.attempt.reason": "Succeeded",
        "ingestion.attempt.memory_limit": "1Gi",
    }


def test_a_person_can_compute_the_id_of_a_trace() -> None:
    """As in docs/operations/traces.md: printf %s data/nightly/5f0c | sha256sum | cut -c1-32."""
    expected = hashlib.sha256(b"data/nightly/5f0c").hexdigest()[:32]
    assert run_trace_id("data", "nightly", "5f0c") == expected
    assert {s.id.trace for s in spans(job(condition="Complete", run_id="5f0c"), pod(exit_code=0))} == {expected}


def status(*runs: Run, generation: int | None = 1, ready: bool = True) -> PipelineStatus:
    condition = Condition(
        type="Ready",
        status="True" if ready else "False",
        observed_generation=generation or 0,
        last_transition_time=NOW,
        reason="Reconciled" if ready else "InvalidSchedule",
        message="" if ready else "no such zone",
    )
    return PipelineStatus(observed_generation=generation, conditions=[condition], runs=list(runs))


def test_a_run_has_its_spans_once_its_end_is_written() -> None:
    body = job(condition="Complete")
    running, ended = run_of(job(), [pod(running=True)]), run_of(body, [pod(exit_code=0)])

    def new(before: PipelineStatus, after: PipelineStatus) -> list[str]:
        return [span.name for span in new_spans(pipeline(), None, before, after, [read_job(body)], NOW)]

    assert new(status(), status(running)) == []
    assert new(status(running), status(ended)) == ["run", "queue", "pod", "attempt"]
    assert new(status(), status(ended)) == ["run", "queue", "pod", "attempt"]
    assert new(status(ended), status(ended.model_copy(update={"report": "Done"}))) == []


def test_a_change_of_the_spec_has_one_span() -> None:
    changed, now = pipeline(2), NOW + timedelta(seconds=3)
    (deploy,) = new_spans(changed, NOW, status(generation=1), status(generation=2), [], now)
    assert lines_of([deploy]) == [("deploy", 0, 3)]
    assert (deploy.parent, deploy.error) == (None, None)
    assert deploy.attributes["ingestion.pipeline.generation"] == 2
    assert new_spans(changed, NOW, status(generation=2), status(generation=2, ready=False), [], now) == []
    (refused,) = new_spans(changed, NOW, status(generation=1), status(generation=2, ready=False), [], now)
    assert (refused.error, refused.attributes["ingestion.pipeline.reason"]) == ("no such zone", "InvalidSchedule")
    assert refused.id == deploy.id


def test_a_deploy_at_an_unknown_time_has_no_span() -> None:
    before, after = status(generation=1), status(generation=2)
    assert new_spans(pipeline(3), NOW, before, after, [], NOW) == []
    assert new_spans(pipeline(2), None, before, after, [], NOW) == []


def test_a_run_links_to_the_deploy_before_it_and_to_no_later_one() -> None:
    body, one = job(condition="Complete"), pod(exit_code=0)
    (deploy,) = new_spans(pipeline(), moment(-5), status(generation=None), status(), [], NOW)
    root, *children = spans(body, one, changed=-5)
    assert root.link == deploy.id
    assert root.id.trace != deploy.id.trace
    assert [child.link for child in children] == [None] * 3
    assert spans(body, one, changed=5)[0].link is None
    assert spans(body, one, changed=-5, generation=2)[0].link != deploy.id


SECONDS = st.integers(min_value=-1000, max_value=1000)
MOMENTS = st.none() | SECONDS.map(lambda seconds: NOW + timedelta(seconds=seconds))
ATTEMPTS = st.builds(Attempt, pod=st.sampled_from("abc"), start_time=MOMENTS, end_time=MOMENTS, exit_code=st.none())
TEXTS = st.sampled_from(["", "yesterday", "2026-03-01T12:00:00", "0001-01-01T00:00:00Z", at(-3), at(30), at(900)])
ANNOTATIONS = st.dictionaries(st.sampled_from([ANNOTATION_ADMITTED_AT, ANNOTATION_SCHEDULED_AT]), TEXTS)


@given(st.lists(ATTEMPTS, max_size=4), SECONDS, SECONDS, ANNOTATIONS, st.booleans(), st.booleans())
def test_spans_lie_in_their_run_and_have_their_own_ids(
    attempts: list[Attempt], start: int, end: int, annotations: dict[str, str], suspended: bool, has_job: bool
) -> None:
    body = job(created=start, suspended=suspended, condition="Failed")
    body["metadata"]["annotations"] |= annotations
    run = run_of(body).model_copy(update={"attempts": attempts})
    found_job = read_job(body) if has_job else None
    found = run_spans(pipeline(), None, run, NOW + timedelta(seconds=end), found_job)
    root, *children = found
    assert all(root.start <= span.start <= span.end <= root.end for span in found)
    assert root.start >= min(NOW + timedelta(seconds=end), run.start_time) - timedelta(days=2)
    assert {span.parent for span in children} <= {root.id}
    assert len({span.id.span for span in found}) == len(found)
    assert {(len(span.id.trace), len(span.id.span), span.id.trace) for span in found} == {(32, 16, root.id.trace)}
    assert found == run_spans(pipeline(), None, run, NOW + timedelta(seconds=end), found_job)
