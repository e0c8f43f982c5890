"""What the observer makes of the objects that it sees."""

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from ingestion_operator import constants
from tests.scenarios.faults.observer import Observer, container_state, run_id_of


@pytest.fixture
def observer() -> Observer:
    """An observer that does not watch: tests give it the objects."""
    return Observer(client.ApiClient, "n")


def pipeline(*runs: str, active: tuple[str, ...] = (), queued: tuple[str, ...] = ()) -> dict[str, Any]:
    records = [{"id": run, "state": "running", "reason": "Running"} for run in runs]
    status = {"runs": records, "activeRuns": list(active), "queuedRuns": list(queued)}
    return {"metadata": {"name": "p"}, "status": status}


def job(uid: str = "r", *ended: str) -> dict[str, Any]:
    annotations = {constants.ANNOTATION_PIPELINE_NAME: "p"}
    metadata = {"name": "p-1", "uid": uid, "labels": {constants.LABEL_PIPELINE: "p"}, "annotations": annotations}
    conditions = [{"type": kind, "status": "True"} for kind in ended]
    return {"metadata": metadata, "spec": {"template": {}}, "status": {"conditions": conditions}}


def pod(name: str, state: str, uid: str = "r") -> dict[str, Any]:
    status = {"containerStatuses": [{"name": constants.RUNNER_CONTAINER, "state": {state: {}}}]} if state else {}
    return {"metadata": {"name": name, "labels": {constants.LABEL_JOB_UID: uid}}, "status": status}


@pytest.mark.parametrize(
    "listed",
    [pipeline("r"), pipeline(active=("r",)), pipeline(queued=("r",))],
    ids=["in runs", "in activeRuns", "in queuedRuns"],
)
def test_a_run_is_unlisted_from_its_job_until_a_list_has_it(observer: Observer, listed: dict[str, Any]) -> None:
    observer._note_pipeline(pipeline("other"), 1.0, False)
    observer._note_job(job(), 2.0, False)
    observer._note_pipeline(listed, 5.0, False)
    assert observer.unlisted("r") == ((2.0, 5.0),)


@pytest.mark.parametrize(
    "end",
    [
        lambda observer: observer._note_job(job("r", "Complete"), 5.0, False),
        lambda observer: observer._note_job(job(), 5.0, True),
    ],
    ids=["the Job ends", "the Job goes"],
)
def test_only_unfinished_jobs_of_a_pipeline_must_be_listed(observer: Observer, end: Callable[[Observer], None]) -> None:
    observer._note_pipeline(pipeline(), 1.0, False)
    observer._note_job(job(), 2.0, False)
    end(observer)
    observer._note_pipeline(pipeline("another"), 9.0, False)
    assert observer.unlisted("r") == ((2.0, 5.0),)


def test_the_runs_of_a_pipeline_that_has_gone_need_no_list(observer: Observer) -> None:
    observer._note_pipeline(pipeline(), 1.0, False)
    observer._note_job(job(), 2.0, False)
    observer._note_pipeline(pipeline(), 5.0, True)
    observer._note_job(job(), 9.0, False)
    assert observer.unlisted("r") == ((2.0, 5.0),)


def test_a_run_that_leaves_every_list_while_it_works_is_unlisted(observer: Observer) -> None:
    observer._note_job(job(), 1.0, False)
    observer._note_pipeline(pipeline("r"), 2.0, False)
    assert observer.is_listed("r")
    observer._note_pipeline(pipeline("newer"), 3.0, False)
    assert not observer.is_listed("r")
    ((begin, _),) = observer.unlisted("r")
    assert begin == 3.0


def test_two_pods_that_work_at_the_same_time_overlap(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "_still_works", lambda pod: pod == "a")
    observer._note_job(job(), 1.0, False)
    for state in ("", "waiting", "running", "running"):
        observer._note_pod(pod("a", state), 2.0, False)
    observer._note_pod(pod("b", "running"), 3.0, False)
    assert observer.seen("r").overlaps == [("a", "b")]


def test_one_pod_after_the_other_is_not_an_overlap(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "_still_works", lambda _: False)
    observer._note_job(job(), 1.0, False)
    observer._note_pod(pod("a", "running"), 2.0, False)
    observer._note_pod(pod("a", "terminated"), 3.0, False)
    observer._note_pod(pod("b", "running"), 4.0, False)  # it goes with its node
    observer._note_pod(pod("b", "running"), 5.0, True)
    observer._note_pod(pod("c", "running"), 6.0, False)  # its end was missed, as the API server shows
    observer._note_pod(pod("d", "running"), 7.0, False)
    assert observer.seen("r").overlaps == []
    assert observer.seen("r").working == {"d"}


def test_a_pod_may_be_seen_before_its_job(observer: Observer) -> None:
    observer._note_pod(pod("a", "terminated"), 2.0, False)
    observer._note_job(job(), 3.0, False)
    assert observer.ended_at("r") == 2.0


def test_each_end_of_a_record_is_noted_once(observer: Observer) -> None:
    for reason in ("Killed", "Killed", "Interrupted"):
        body = pipeline("r")
        body["status"]["runs"][0] |= {"state": "stopped", "reason": reason}
        observer._note_pipeline(body, 4.0, False)
    assert observer.seen("r").ends == [("stopped", "Killed"), ("stopped", "Interrupted")]
    assert observer.seen("r").recorded_at == 4.0


def test_a_run_has_the_id_that_its_caller_chose() -> None:
    body = job("uid")
    assert run_id_of(body) == "uid"
    body["spec"]["template"] = {"metadata": {"annotations": {constants.ANNOTATION_RUN_ID: "chosen"}}}
    assert run_id_of(body) == "chosen"


def test_only_the_runners_container_counts() -> None:
    body = pod("a", "terminated")
    body["status"]["containerStatuses"].insert(0, {"name": "sidecar", "state": {"running": {}}})
    assert container_state(body) == "terminated"
    assert container_state(pod("a", "")) == ""
