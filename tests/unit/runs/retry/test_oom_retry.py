"""What is done to the Jobs of a run that ran out of memory, step by step."""

from dataclasses import replace
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.runs.actions import DeleteJob, JobAction, PatchJob, ResumeJob
from ingestion_operator.runs.jobs import read_job
from ingestion_operator.runs.retry.oom_retry import decide, record_replacement, record_resize_error
from ingestion_operator.runs.retry.replacement import replacement_job, replacement_name
from testing.objects import Body, at, growing, job, pod, run_of

OUT_OF_MEMORY = [pod(exit_code=137, terminated_reason="OOMKilled", memory="512Mi")]
LET_FAIL = {"suspend": False, "backoffLimit": 0}
SUSPENDED = growing("1Gi", step="1Gi", failed=1)


def annotated(body: Body, **annotations: str) -> Body:
    keys = {"replaced_by": constants.ANNOTATION_REPLACED_BY, "stop": constants.ANNOTATION_STOP}
    return body | {
        "metadata": body["metadata"]
        | {"annotations": body["metadata"]["annotations"] | {keys[name]: value for name, value in annotations.items()}}
    }


def action(*bodies: Body, run: Run | None = None) -> JobAction | None:
    found = decide([read_job(body) for body in bodies], [run or run_of(bodies[0], OUT_OF_MEMORY)])
    assert len(found) <= 1
    return found[0] if found else None


def patch(*bodies: Body, run: Run | None = None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    found = action(*bodies, run=run)
    assert isinstance(found, PatchJob)
    return found.job.name, dict(found.annotations), dict(found.spec)


def test_a_job_that_ran_out_of_memory_is_suspended() -> None:
    name, annotations, spec = patch(growing("1Gi", retries=1))
    assert (name, annotations) == ("nightly-1", {constants.ANNOTATION_NEXT_MEMORY_LIMIT: "1Gi"})
    assert spec == {"suspend": True, "backoffLimit": 2}


def test_an_attempt_with_the_same_size_is_made_up_for() -> None:
    twice = [*OUT_OF_MEMORY, pod("b", created=60, exit_code=137, terminated_reason="OOMKilled", memory="512Mi")]
    body = growing("1Gi", "2Gi")
    assert patch(body, run=run_of(body, twice))[2] == {"suspend": True, "backoffLimit": 3}


def test_a_suspended_job_without_pods_gets_its_size() -> None:
    assert action(SUSPENDED) == ResumeJob(read_job(SUSPENDED), "1Gi")
    still_active = growing("1Gi", step="1Gi")
    still_active["status"]["active"] = 1
    assert action(still_active) is None


def test_a_run_that_has_failed_does_not_go_on() -> None:
    failed = [pod(exit_code=1, memory="512Mi")]
    body = growing("1Gi", failed=1)
    assert patch(body, run=run_of(body, failed)) == ("nightly-1", {}, LET_FAIL)
    assert patch(annotated(SUSPENDED, stop=at(60)), run=run_of(annotated(SUSPENDED, stop=at(60)))) == (
        "nightly-1", {}, LET_FAIL,
    )  # fmt: skip


def test_the_first_job_names_the_one_that_continues() -> None:
    body = growing("1Gi", step="1Gi")
    name = replacement_name(read_job(body))
    other = job(name, created=70, run_id="uid-nightly-1")
    assert patch(body, other) == ("nightly-1", {constants.ANNOTATION_REPLACED_BY: name}, {})
    assert record_replacement(read_job(body), name).annotations == {constants.ANNOTATION_REPLACED_BY: name}


def test_a_stop_of_the_first_job_stops_the_one_that_continues() -> None:
    name = replacement_name(read_job(SUSPENDED))
    first = annotated(SUSPENDED, replaced_by=name, stop=at(60))
    first["metadata"]["annotations"][constants.ANNOTATION_STOPPED_BY] = "a person"
    other = job(name, created=70, run_id="uid-nightly-1")
    running = run_of(other, [pod(of=name, running=True)])
    expected = {constants.ANNOTATION_STOP: at(60), constants.ANNOTATION_STOPPED_BY: "a person"}
    assert patch(first, other, run=running) == (name, expected, {"activeDeadlineSeconds": 1})


@pytest.mark.parametrize("is_there", [True, False])
def test_the_first_job_goes_with_its_run(*, is_there: bool) -> None:
    name = replacement_name(read_job(SUSPENDED))
    first = annotated(SUSPENDED, replaced_by=name)
    ended = run_of(job(name, run_id="uid-nightly-1", condition="Failed"))
    others = [job(name, created=70, run_id="uid-nightly-1", condition="Failed")] if is_there else []
    found = action(first, *others, run=ended)
    assert isinstance(found, DeleteJob)
    assert found.job.name == "nightly-1"


def test_a_refusal_ends_the_job_with_its_text() -> None:
    found = record_resize_error(read_job(SUSPENDED), "policy: at most 512Mi" + "x" * 999)
    assert found.spec == LET_FAIL
    assert str(found.annotations[constants.ANNOTATION_MEMORY_RESIZE_ERROR]).startswith("policy: at most 512Mi")
    assert len(str(found.annotations[constants.ANNOTATION_MEMORY_RESIZE_ERROR]).encode()) <= 400


def test_kueues_jobs_and_deleting_jobs_are_left_alone() -> None:
    found, run = read_job(growing("1Gi")), run_of(growing("1Gi"), OUT_OF_MEMORY)
    assert decide([replace(found, queue_name="team-a")], [run]) == []
    assert decide([replace(found, is_deleting=True)], [run]) == []
    assert decide([found], []) == []


def test_the_next_job_has_the_same_owners_and_run_id() -> None:
    owner = {"kind": "CronJob", "name": "nightly", "uid": "c", "controller": True, "blockOwnerDeletion": True}
    body = growing("1Gi", "2Gi", step="1Gi", failed=1)
    body["metadata"]["ownerReferences"] = [owner]
    following = replacement_job(body, "1Gi")
    assert following["metadata"]["ownerReferences"] == [owner | {"blockOwnerDeletion": False}]
    assert following["metadata"]["name"] == replacement_name(read_job(body))
    assert following["spec"]["backoffLimit"] == 1
    assert constants.ANNOTATION_NEXT_MEMORY_LIMIT not in following["metadata"]["annotations"]
    following["metadata"] |= {"uid": "n", "resourceVersion": "2", "creationTimestamp": at(70)}
    assert read_job(following).run_id == "uid-nightly-1"
    assert read_job(following).memory_limit == "1Gi"
