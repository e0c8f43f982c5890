"""What the observer of a soak makes of the API server's events."""

from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS
from tests.scenarios.soak.ledger import Ledger, orphans

UID, NAME = "pipeline-uid", "nightly"


def owned(name: str, owner: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner, "controller": True}], **metadata}
    }


def pipeline(*records: dict[str, Any], uid: str = UID) -> dict[str, Any]:
    return {"metadata": {"name": NAME, "uid": uid}, "status": {"runs": list(records)}}


def record(run: str = "run-1", state: str = "success", report: str = "Done") -> dict[str, Any]:
    return {"id": run, "state": state, "reason": state, "report": report}


def job(name: str, *, run: str = "", owner: str = UID, admitted: str = "12:00:05", version: int = 5) -> dict[str, Any]:
    annotations = {constants.ANNOTATION_ADMITTED_AT: admitted} if admitted else {}
    body = owned(
        name, owner, labels={constants.LABEL_PIPELINE: NAME}, annotations=annotations, resourceVersion=str(version)
    )
    body["spec"] = {"template": {"metadata": {"annotations": {constants.ANNOTATION_RUN_ID: run or name}}}}
    return body


def pod(job_name: str, *, phase: str = "Running", created: str = "12:00:06", version: int = 6) -> dict[str, Any]:
    labels = {constants.LABEL_PIPELINE: NAME, constants.LABEL_JOB_UID: job_name}
    body = owned(f"{job_name}-pod", job_name, labels=labels, creationTimestamp=created, resourceVersion=str(version))
    return body | {"status": {"phase": phase}}


@pytest.fixture
def ledger() -> Ledger:
    found = Ledger()
    found.note(PIPELINES, "ADDED", pipeline())
    found.note(CRONJOBS, "ADDED", owned("cronjob-uid", UID))
    return found


def test_admitted_runs_that_work_at_the_same_time_are_doubled(ledger: Ledger) -> None:
    for name in ("a", "b"):
        ledger.note(JOBS, "ADDED", job(name))
        ledger.note(PODS, "ADDED", pod(name))
    assert ledger.doubled() == ["pods a-pod and b-pod worked at the same time"]


def test_runs_in_sequence_and_manual_runs_beside_them_are_right(ledger: Ledger) -> None:
    ledger.note(JOBS, "ADDED", job("a"))
    ledger.note(PODS, "ADDED", pod("a"))
    ledger.note(PODS, "MODIFIED", pod("a", phase="Succeeded"))
    ledger.note(JOBS, "ADDED", job("b"))
    ledger.note(PODS, "ADDED", pod("b"))
    ledger.note(JOBS, "ADDED", job("by-hand", admitted="", owner="cronjob-uid"))
    ledger.note(PODS, "ADDED", pod("by-hand"))
    assert ledger.doubled() == []


def test_a_requeued_scheduled_run_started_before_its_admission(ledger: Ledger) -> None:
    ledger.note(JOBS, "ADDED", job("a"))
    ledger.note(PODS, "ADDED", pod("a"))
    ledger.note(PODS, "ADDED", pod("tick", created="12:00:01"))
    ledger.note(JOBS, "MODIFIED", job("tick", owner="cronjob-uid", admitted="12:00:09"))
    assert ledger.doubled() == []


@pytest.mark.parametrize(("admitted_in", "is_doubled"), [(9, False), (7, True)])
def test_within_one_second_versions_order_pod_and_admission(ledger: Ledger, admitted_in: int, is_doubled: bool) -> None:
    ledger.note(JOBS, "ADDED", job("a"))
    ledger.note(PODS, "ADDED", pod("a"))
    ledger.note(JOBS, "ADDED", job("tick", owner="cronjob-uid", admitted="", version=7))
    ledger.note(PODS, "ADDED", pod("tick", version=8))
    ledger.note(JOBS, "MODIFIED", job("tick", owner="cronjob-uid", admitted="12:00:06", version=admitted_in))
    ledger.note(JOBS, "MODIFIED", job("tick", owner="cronjob-uid", admitted="12:00:06", version=10))
    assert bool(ledger.doubled()) is is_doubled


def test_two_jobs_of_one_run_are_doubled_whatever_they_belong_to(ledger: Ledger) -> None:
    ledger.note(JOBS, "ADDED", job("a", run="one"))
    ledger.note(JOBS, "ADDED", job("b", run="one", owner="cronjob-uid"))
    assert ledger.doubled() == ["run one had the Jobs ['a', 'b']"]


def test_a_run_is_unfinished_until_its_end_is_reported(ledger: Ledger) -> None:
    ledger.note(JOBS, "ADDED", job("a"))
    assert ledger.unfinished([]) == ["run a of nightly (a): not in the status"]
    for each in (record("a", "running"), record("a", report="Pending")):
        ledger.note(PIPELINES, "MODIFIED", pipeline(each))
        assert ledger.unfinished([]) != []
    ledger.note(PIPELINES, "MODIFIED", pipeline(record("a")))
    ledger.note(PIPELINES, "MODIFIED", pipeline())  # 20 newer records have come
    assert ledger.unfinished([]) == []


def test_a_promised_run_without_a_job_is_lost(ledger: Ledger) -> None:
    assert ledger.unfinished([(UID, "a")]) == ["run a of nightly (a Job that was never seen): not in the status"]
    ledger.note(PIPELINES, "DELETED", pipeline())
    assert ledger.unfinished([(UID, "a")]) == []


def test_a_finished_run_does_not_end_again_and_is_recorded_once(ledger: Ledger) -> None:
    ledger.note(PIPELINES, "MODIFIED", pipeline(record()))
    ledger.note(PIPELINES, "MODIFIED", pipeline(record(state="failed"), record(state="failed")))
    one, two = ledger.violations
    assert one == "nightly has two records of one run: ['run-1', 'run-1']"
    assert two == "run run-1 of nightly ended twice: ('success', 'success'), ('failed', 'failed')"


def test_an_object_without_any_of_its_owners_is_an_orphan() -> None:
    shared = {"metadata": {"name": "token", "uid": "token"}}
    found = {PIPELINES: [pipeline()], JOBS: [owned("a", UID), owned("b", "gone")], SECRETS: [shared]}
    assert orphans(found) == {"b": "Job b"}
