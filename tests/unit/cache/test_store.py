"""What the store has after lists, events and overlays, case by case."""

import logging
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import PipelineKey
from testing.objects import NAMESPACE, Body, at, job, manifest, pod

LABEL = "nightly"


def versioned(body: Body, version: object, **metadata: Any) -> Body:
    body["metadata"] |= {"resourceVersion": str(version)} | metadata
    return body


def a_job(version: object, name: str = "nightly-1", **more: Any) -> Body:
    return versioned(job(name, **more), version)


def a_pod(version: object, name: str = "nightly-1-a", **more: Any) -> Body:
    return versioned(pod(name, **more), version)


def a_pipeline(version: object, name: str = "nightly", **more: Any) -> Body:
    return versioned(manifest(name), version, uid=f"uid-{name}", creationTimestamp=at(), generation=1, **more)


def a_cronjob(version: object, name: str = "nightly") -> Body:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {constants.LABEL_PIPELINE: name}}
    body: Body = {"metadata": metadata, "spec": {"schedule": "0 2 * * *"}}
    return versioned(body, version, uid=f"uid-{name}", creationTimestamp=at())


class Clock:
    """Monotonic seconds that pass when the test advances them."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    """A store of the whole cluster; all kinds are listed and empty at version 100."""
    made = Store([""], monotonic=clock)
    for kind in (PIPELINES, CRONJOBS, JOBS, PODS):
        made.replace(kind, "", [], "100")
    return made


@pytest.fixture
def changes(store: Store) -> list[tuple[str | None, str | None]]:
    """The versions before and after each change."""
    seen: list[tuple[str | None, str | None]] = []

    def observe(_kind: Kind, _scope: str, old: Any, new: Any) -> None:
        seen.append((old and old.resource_version, new and new.resource_version))

    store.on_change(observe)
    return seen


def versions(store: Store) -> list[str]:
    return sorted(found.resource_version for found in store.jobs_of(NAMESPACE, LABEL))


def test_records_are_found_by_name_pipeline_and_owner(store: Store) -> None:
    store.upsert(PIPELINES, a_pipeline(101))
    store.upsert(CRONJOBS, a_cronjob(102))
    owned = a_job(103)
    owned["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "n", "uid": "uid-nightly", "controller": True}]
    store.upsert(JOBS, owned)
    store.upsert(PODS, a_pod(104))
    assert [one.name for one in store.pipelines()] == [one.name for one in store.pipelines(NAMESPACE)] == ["nightly"]
    assert store.pipelines("other") == store.pipelines_called("other", "nightly") == []
    assert store.pipelines_called(NAMESPACE, "nightly") == [store.pipeline(PipelineKey(NAMESPACE, "nightly"))]
    assert store.cronjob(NAMESPACE, "nightly") is not None
    assert store.jobs_of(NAMESPACE, LABEL) == store.jobs_owned_by("uid-nightly") == [store.job(NAMESPACE, "nightly-1")]
    assert store.pods_of(NAMESPACE, LABEL) == store.pods_owned_by("uid-nightly-1") != []


def test_indexes_follow_a_record(store: Store) -> None:
    store.upsert(PIPELINES, a_pipeline(101))
    renamed = a_pipeline(102)
    renamed["spec"]["fullyQualifiedName"] = "shop.other"
    store.upsert(PIPELINES, renamed)
    assert store.pipelines_called(NAMESPACE, "nightly") == []
    assert len(store.pipelines_called(NAMESPACE, "other")) == 1
    store.remove(PIPELINES, versioned(renamed, 103))
    assert store.pipelines_called(NAMESPACE, "other") == store.pipelines() == []


def test_a_list_replaces_and_returns_what_was_deleted(store: Store, changes: list[Any]) -> None:
    for version, name in ((101, "a"), (102, "b"), (103, "c")):
        store.upsert(JOBS, a_job(version, name))
    del changes[:]
    found = store.replace(JOBS, "", [a_job(101, "a"), a_job(110, "b"), a_job(111, "d")], "120")
    assert [(c.old and c.old.name, c.new and c.new.name) for c in found] == [("b", "b"), (None, "d"), ("c", None)]
    assert changes == [("102", "110"), (None, "111"), ("103", None)]
    assert versions(store) == ["101", "110", "111"]


def test_a_list_may_go_back_in_versions(store: Store) -> None:
    store.upsert(JOBS, a_job(900, "a"))  # a cluster restored from a backup counts from lower on
    store.replace(JOBS, "", [a_job(30, "b")], "40")
    store.upsert(JOBS, a_job(41, "b"))
    assert versions(store) == ["41"]


def test_a_list_of_one_namespace_leaves_others_alone() -> None:
    store = Store([NAMESPACE, "other"])
    store.replace(JOBS, NAMESPACE, [a_job(5)], "10")
    store.replace(JOBS, "other", [], "11")
    assert versions(store) == ["5"]


def test_a_scope_has_synced_once_all_its_kinds_have() -> None:
    store = Store(["a", "b"], [JOBS, PODS])
    store.replace(JOBS, "a", [], "1")
    store.upsert(PODS, a_pod(2))
    assert not store.has_synced("a")
    store.replace(PODS, "a", [], "1")
    assert store.has_synced("a")
    assert not store.has_synced("b")
    assert not store.has_synced("c")
    assert store.synced_scopes() == ["a"]
    everything = Store([""], [JOBS])
    everything.replace(JOBS, "", [], "1")
    assert everything.has_synced("any")


def test_an_overlay_is_seen_at_once_and_not_reported(store: Store, changes: list[Any]) -> None:
    store.upsert(JOBS, a_job(101))
    store.overlay_write(JOBS, a_job(105))
    assert versions(store) == ["105"]
    store.upsert(JOBS, a_job(105))
    assert changes == [(None, "101")]


def test_an_older_event_does_not_undo_an_overlay(store: Store, changes: list[Any]) -> None:
    store.upsert(JOBS, a_job(101))
    store.overlay_write(JOBS, a_job(105))
    store.upsert(JOBS, a_job(103))
    assert versions(store) == ["105"]
    assert changes == [(None, "101"), ("105", "105")]  # another client wrote 103: its change needs a reconcile


def test_overlays_that_are_shown_late_are_not_reported(store: Store, changes: list[Any]) -> None:
    store.overlay_write(JOBS, a_job(106))
    store.overlay_write(JOBS, a_job(105))  # answers may overtake each other
    store.upsert(JOBS, a_job(105))
    store.upsert(JOBS, a_job(106))
    assert (versions(store), changes) == (["106"], [])


def test_a_late_answer_does_not_revive_a_deleted_object(store: Store) -> None:
    store.upsert(JOBS, a_job(105))
    store.remove(JOBS, a_job(107))
    store.overlay_write(JOBS, a_job(105))
    store.advance(JOBS, "", "110")
    store.overlay_write(JOBS, a_job(109, "nightly-2"))
    assert versions(store) == []


def test_an_older_list_does_not_undo_an_overlay(store: Store, clock: Clock) -> None:
    store.upsert(JOBS, a_job(101, "a"))
    store.overlay_write(JOBS, a_job(105, "a"))
    store.overlay_write(JOBS, a_job(106, "b"))
    store.replace(JOBS, "", [a_job(101, "a")], "104")
    assert versions(store) == ["105", "106"]
    clock.seconds += 61
    store.replace(JOBS, "", [a_job(101, "a")], "104")
    assert versions(store) == ["101"]


def test_a_newer_list_without_the_overlay_is_right(store: Store) -> None:
    store.overlay_write(JOBS, a_job(105))
    store.replace(JOBS, "", [], "107")
    assert versions(store) == []


def test_an_own_deletion_is_not_undone_by_what_is_older(store: Store, changes: list[Any]) -> None:
    store.upsert(JOBS, a_job(101))
    store.overlay_deletion(JOBS, NAMESPACE, "nightly-1", "uid-nightly-1")
    assert versions(store) == []
    store.upsert(JOBS, a_job(102))
    store.replace(JOBS, "", [a_job(102)], "103")
    assert versions(store) == []
    store.remove(JOBS, a_job(104))
    store.upsert(JOBS, a_job(105, uid="another"))
    assert versions(store) == ["105"]
    assert changes == [(None, "101"), (None, "105")]


def test_the_deletion_of_a_predecessor_is_past(store: Store) -> None:
    store.overlay_write(JOBS, a_job(105, uid="second"))
    store.remove(JOBS, a_job(103, uid="first"))
    assert versions(store) == ["105"]


def test_versions_that_are_not_numbers_go_by_arrival(store: Store) -> None:
    store.replace(JOBS, "", [], "zz")
    for version in ("b", "a"):
        store.overlay_write(JOBS, a_job(version))
        assert versions(store) == [version]
    store.upsert(JOBS, a_job("c"))
    store.remove(JOBS, a_job("0x"))
    assert versions(store) == []


def test_overlays_that_no_watch_covers_are_not_kept() -> None:
    store = Store(["other"], [JOBS])
    store.overlay_write(JOBS, a_job(5))
    store.overlay_write(CRONJOBS, a_cronjob(6))
    one_off = a_job(7)
    del one_off["metadata"]["labels"]
    one_off["metadata"]["namespace"] = "other"
    store.overlay_write(JOBS, one_off)
    store.upsert(JOBS, a_job(8))
    assert store.jobs_of(NAMESPACE, LABEL) == store.jobs_of("other", "") == []


def test_the_last_state_of_a_deleted_pod_is_kept(store: Store, clock: Clock) -> None:
    store.upsert(PODS, a_pod(101, "a", running=True))
    store.remove(PODS, a_pod(102, "a", exit_code=137))
    store.upsert(PODS, a_pod(103, "b", running=True))
    store.replace(PODS, "", [], "110")
    assert store.pods_of(NAMESPACE, LABEL) == []
    found = store.recently_deleted_pods(NAMESPACE, LABEL)
    assert [(one.name, one.attempt.exit_code) for one in found] == [("a", 137), ("b", None)]
    assert store.recently_deleted_pods(NAMESPACE, "other") == []
    store.forget_deleted_pods(["uid-a"])
    assert [one.name for one in store.recently_deleted_pods(NAMESPACE, LABEL)] == ["b"]
    clock.seconds += 601
    assert store.recently_deleted_pods(NAMESPACE, LABEL) == []


def test_only_so_many_deleted_pods_are_kept(store: Store) -> None:
    for number in range(1001):
        store.remove(PODS, a_pod(200 + number, f"p{number}"))
    found = store.recently_deleted_pods(NAMESPACE, LABEL)
    assert (len(found), found[0].name) == (1000, "p1")


def test_what_cannot_be_read_is_absent_and_logged_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.upsert(JOBS, a_job(101, "good"))
    bad = a_job(102, "bad")
    bad["spec"]["backoffLimit"] = "many"
    with caplog.at_level(logging.ERROR):
        store.upsert(JOBS, bad)
        store.replace(JOBS, "", [a_job(101, "good"), bad, {}, {"metadata": []}], "105")
        store.upsert(JOBS, {})
        store.remove(JOBS, {})
    assert versions(store) == ["101"]
    assert [record.getMessage().startswith("Job data/bad ") for record in caplog.records].count(True) == 1


def test_an_object_that_becomes_unreadable_is_removed(store: Store, changes: list[Any]) -> None:
    store.upsert(JOBS, a_job(101))
    bad = a_job(102)
    bad["spec"]["backoffLimit"] = "many"
    store.upsert(JOBS, bad)
    assert versions(store) == []
    assert changes[-1] == ("101", None)


def test_an_error_of_an_observer_stops_no_other(
    store: Store, changes: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not mine")

    store._observers.insert(0, fail)
    store.upsert(JOBS, a_job(101))
    assert changes == [(None, "101")]
    assert "not mine" in caplog.text


def test_observers_may_read_the_store(store: Store) -> None:
    seen: list[int] = []
    store.on_change(lambda *_: seen.append(len(store.jobs_of(NAMESPACE, LABEL))))
    store.replace(JOBS, "", [a_job(101)], "105")
    assert seen == [1]


def test_a_list_from_before_a_replacement_does_not_revive_an_object() -> None:
    def body(uid: str, version: int) -> Body:
        found = job("a", uid=uid)
        found["metadata"]["resourceVersion"] = str(version)
        return found

    store = Store([NAMESPACE], [JOBS])
    store.overlay_write(JOBS, body("first", 106))
    store.overlay_write(JOBS, body("second", 108))
    store.overlay_deletion(JOBS, NAMESPACE, "a", "second")

    store.replace(JOBS, NAMESPACE, [body("first", 105)], "105")

    assert store.job(NAMESPACE, "a") is None
