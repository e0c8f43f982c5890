"""Which changes of the cache enqueue a pipeline, and how urgently."""

from copy import deepcopy
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.controller.handlers import CacheEvents
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.workqueue import Priority
from testing.objects import NAME, NAMESPACE, UID, Body, at, job, manifest, pod

KEY = PipelineKey(NAMESPACE, NAME)


class Queue:
    """Notes what is enqueued."""

    def __init__(self) -> None:
        self.added: list[tuple[PipelineKey, Priority]] = []

    def add(self, key: PipelineKey, *, after: float | None = None, priority: Priority = Priority.NORMAL) -> None:
        assert after is None
        self.added.append((key, priority))


class Events:
    """A store with one pipeline, and what its changes enqueue."""

    def __init__(self) -> None:
        self.queue, self.deleted = Queue(), list[PipelineKey]()
        self.store = Store([NAMESPACE], [PIPELINES, CRONJOBS, JOBS, PODS])
        self.version = 100
        queue: Any = self.queue
        CacheEvents(self.store, queue, lambda: None, self.deleted.append)
        for kind in self.store.kinds:
            self.store.replace(kind, NAMESPACE, [], "1")
        self.pipeline = manifest()
        self.pipeline["metadata"] |= {"uid": UID, "generation": 1, "creationTimestamp": at(0)}
        assert self.after(PIPELINES, self.pipeline) == [(KEY, Priority.NORMAL)]

    def after(self, kind: Kind, body: Body, *, deleted: bool = False) -> list[tuple[PipelineKey, Priority]]:
        """Return what an event enqueues."""
        self.version += 1
        shown = deepcopy(body)
        shown["metadata"]["resourceVersion"] = str(self.version)
        self.queue.added.clear()
        (self.store.remove if deleted else self.store.upsert)(kind, shown)
        return self.queue.added

    def edited(self, **metadata: Any) -> list[tuple[PipelineKey, Priority]]:
        """Return what a change of the pipeline's metadata enqueues."""
        self.pipeline["metadata"] |= metadata
        return self.after(PIPELINES, self.pipeline)


@pytest.fixture
def events() -> Events:
    return Events()


def test_a_kill_is_urgent(events: Events) -> None:
    """A person waits for it; proof P25 of the review."""
    annotations = {constants.ANNOTATION_KILL: "2026-03-01T12:00:00Z"}
    assert events.edited(annotations=annotations) == [(KEY, Priority.HIGH)]
    assert events.edited(annotations=annotations) == []
    assert events.edited(annotations={constants.ANNOTATION_KILL: "2026-03-01T13:00:00Z"}) == [(KEY, Priority.HIGH)]
    assert events.edited(annotations={}) == [(KEY, Priority.NORMAL)]


@pytest.mark.parametrize(
    "change", [{"labels": {"team": "data"}}, {"annotations": {"note": "x"}}, {"finalizers": ["example.com/x"]}]
)
def test_labels_and_other_annotations_enqueue_nothing(events: Events, change: dict[str, Any]) -> None:
    assert events.edited(**change) == []


def test_the_status_enqueues_nothing(events: Events) -> None:
    events.pipeline["status"] = {"observedGeneration": 1}
    assert events.edited() == []


@pytest.mark.parametrize(
    "change", [{"generation": 2}, {"uid": "another"}, {"deletionTimestamp": "2026-03-01T12:00:00Z"}]
)
def test_a_spec_a_successor_and_a_deletion_enqueue(events: Events, change: dict[str, Any]) -> None:
    assert events.edited(**change) == [(KEY, Priority.NORMAL)]


def test_jobs_and_pods_are_urgent_until_they_are_gone(events: Events) -> None:
    for kind, body in ((JOBS, job()), (PODS, pod(running=True))):
        assert events.after(kind, body) == [(KEY, Priority.HIGH)]
        assert events.after(kind, body, deleted=True) == [(KEY, Priority.HIGH)]


def test_children_of_a_pipeline_that_is_gone_enqueue_nothing(events: Events) -> None:
    assert events.after(PIPELINES, events.pipeline, deleted=True) == [(KEY, Priority.NORMAL)]
    assert events.deleted == [KEY]
    assert events.after(JOBS, job()) == []


def test_the_status_of_a_cronjob_enqueues_nothing(events: Events) -> None:
    cronjob: Body = {
        "metadata": {
            "namespace": NAMESPACE,
            "name": NAME,
            "uid": "uid-cronjob",
            "generation": 1,
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "labels": {constants.LABEL_PIPELINE: NAME},
        },
        "spec": {"schedule": "0 4 * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}},
        "status": {},
    }
    assert events.after(CRONJOBS, cronjob) == [(KEY, Priority.NORMAL)]
    cronjob["status"] = {"lastScheduleTime": "2026-03-01T13:00:00Z"}
    assert events.after(CRONJOBS, cronjob) == []
    cronjob["metadata"]["generation"] = 2
    assert events.after(CRONJOBS, cronjob) == [(KEY, Priority.NORMAL)]
    assert events.after(CRONJOBS, cronjob, deleted=True) == [(KEY, Priority.NORMAL)]
