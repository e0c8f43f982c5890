"""Which Jobs of the warm pool are made, retired and taken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.pipeline_service.warm_slots import Plan, claim_patch, claimable, plan, read
from testing.objects import Body

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WANTED = "as-wanted"
LIMIT = timedelta(minutes=10)
TAKEN = {constants.ANNOTATION_CLAIMED_AT: "2026-03-01T11:59:00Z"}


def moment(age: float) -> str:
    return f"{NOW - timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ}"


def job(
    name: str, *, slot: int = 0, age: float = 300, ready: int = 1, fingerprint: str = WANTED, **changes: Any
) -> Body:
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": "7",
            "creationTimestamp": moment(age),
            "annotations": {
                constants.ANNOTATION_WARM_SLOT: str(slot),
                constants.ANNOTATION_FINGERPRINT: fingerprint,
                **changes.get("annotations", {}),
            },
            **changes.get("metadata", {}),
        },
        "spec": {"template": {"metadata": {"annotations": {constants.ANNOTATION_RUN_ID: f"run-of-{name}"}}}},
        "status": {
            "startTime": moment(age),
            "ready": ready,
            "conditions": [{"type": kind, "status": "True"} for kind in changes.get("conditions", [])],
        },
    }


def pod(of: str, *, ready: str = "True", **metadata: Any) -> Body:
    return {
        "metadata": {"name": f"{of}-x", "labels": {"batch.kubernetes.io/job-name": of}, **metadata},
        "status": {"podIP": f"ip-of-{of}", "conditions": [{"type": "Ready", "status": ready}]},
    }


def planned(*jobs: Body, wanted: int = 1, now: datetime = NOW) -> Plan:
    return plan(read(jobs), wanted, WANTED, LIMIT, now)


def created(*jobs: Body, wanted: int = 1) -> list[int]:
    return [slot for slot, _ in planned(*jobs, wanted=wanted).create]


def retired(*jobs: Body, wanted: int = 1) -> list[str]:
    return [found.name for found in planned(*jobs, wanted=wanted).retire]


def test_every_slot_without_a_waiting_job_gets_one() -> None:
    assert created(wanted=2) == [0, 1]
    assert created(job("a", slot=1), wanted=2) == [0]
    assert created(job("a"), job("b", slot=1), wanted=2) == []


@pytest.mark.parametrize(
    "gone",
    [
        {"annotations": TAKEN},
        {"conditions": ["Complete"]},
        {"conditions": ["FailureTarget"]},
        {"metadata": {"deletionTimestamp": moment(1)}},
        {"fingerprint": "of-another-image"},
    ],
)
def test_an_outdated_job_leaves_its_slot_free(gone: dict[str, Any]) -> None:
    assert created(job("a", **gone)) == [0]


def test_all_that_see_the_same_pool_give_a_new_job_the_same_name() -> None:
    assert planned(job("a", annotations=TAKEN)).create == planned(job("a", annotations=TAKEN)).create


def test_a_new_job_has_a_new_name_in_its_slot() -> None:
    first = planned().create[0][1]
    second = planned(job(first, annotations=TAKEN)).create[0][1]
    third = planned(job(first, age=400, annotations=TAKEN), job(second, annotations=TAKEN)).create[0][1]
    assert len({first, second, third}) == 3
    assert max(len(name) for name in (first, second, third)) <= 58


def test_what_is_outdated_or_too_much_is_retired() -> None:
    assert retired(job("a", fingerprint="of-another-image"), job("b")) == ["a"]
    assert retired(job("a"), job("b", slot=1)) == ["b"]
    assert retired(job("older"), job("younger", age=200)) == ["younger"]


@pytest.mark.parametrize("changes", [{"fingerprint": "of-other-settings"}, {"slot": 1}])
def test_replicas_with_different_settings_keep_each_others_jobs(changes: dict[str, Any]) -> None:
    new, old = job("a", age=179, **changes), job("a", age=180, **changes)
    assert retired(new) == []
    assert retired(old) == ["a"]
    assert created(job("b"), new) == []


def test_a_slot_that_another_replica_has_filled_stays() -> None:
    assert created(job("a", age=179, fingerprint="of-other-settings")) == []


def test_without_a_pool_only_waiting_jobs_are_retired() -> None:
    assert retired(job("a"), job("b", slot=1), job("c", slot=2, annotations=TAKEN), wanted=0) == ["a", "b"]


def test_a_job_that_is_not_ready_in_time_is_made_again() -> None:
    late = job("a", age=601, ready=0)
    assert (created(late), retired(late)) == ([0], ["a"])
    in_time = job("a", age=599, ready=0)
    assert (created(in_time), retired(in_time)) == ([], [])


def test_a_failed_job_is_followed_by_another_only_after_a_pause() -> None:
    assert created(job("a", age=59, conditions=["Failed"])) == []
    assert created(job("a", age=61, conditions=["Failed"])) == [0]
    assert created(job("a", age=5, conditions=["Failed"], annotations=TAKEN)) == [0]


def test_a_job_that_has_waited_long_is_replaced() -> None:
    old = job("a", age=1741)
    assert (created(old), retired(old)) == ([0], [])
    assert (created(old, job("b", age=30)), retired(old, job("b", age=30))) == ([], [])


def test_what_is_ready_is_taken_oldest_first_at_its_pods_address() -> None:
    jobs = read([job("young", age=20), job("old", slot=1)])
    found = claimable(jobs, [pod("young"), pod("old")], WANTED, NOW)
    assert [(taken.name, address) for taken, address in found] == [("old", "ip-of-old"), ("young", "ip-of-young")]


@pytest.mark.parametrize(
    ("the_job", "the_pod"),
    [
        (job("a", annotations=TAKEN), pod("a")),
        (job("a", fingerprint="of-another-image"), pod("a")),
        (job("a", age=1741), pod("a")),
        (job("a"), pod("a", ready="False")),
        (job("a"), pod("a", deletionTimestamp=moment(1))),
        (job("a"), pod("b")),
    ],
)
def test_nothing_else_is_taken(the_job: Body, the_pod: Body) -> None:
    assert claimable(read([the_job]), [the_pod], WANTED, NOW) == []


def test_a_claimed_job_is_bound_to_its_resource_version() -> None:
    (found,) = read([job("a", age=300)])
    patch = claim_patch(found, "test-connection-x", 100, NOW)
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["spec"]["activeDeadlineSeconds"] == 400


def test_a_manually_labelled_job_holds_no_slot() -> None:
    foreign = job("a")
    foreign["metadata"]["annotations"] = {}
    assert created(foreign) == [0]
    assert retired(foreign) == ["a"]
