"""From the cache to the work queue: nothing that changed, and no scope that was synced, is left out."""

from collections.abc import Iterator

import pytest

from ingestion_operator import constants
from ingestion_operator.cache.store import Store
from ingestion_operator.controller.handlers import CacheEvents, SyncedScopes
from ingestion_operator.logs.archiver import LogArchiver
from ingestion_operator.ports import PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.workqueue import WorkQueue
from testing.fake_clock import FakeClock
from testing.objects import NAMESPACE, manifest, pod

KEYS = [PipelineKey(NAMESPACE, "one"), PipelineKey(NAMESPACE, "two")]


@pytest.fixture
def queue() -> Iterator[WorkQueue]:
    queue = WorkQueue(lambda _: None, FakeClock(), debounce=0)
    yield queue
    queue.threads.shutdown()


def pipelines() -> list[dict[str, object]]:
    bodies = [manifest(key.name) for key in KEYS]
    for number, body in enumerate(bodies):
        body["metadata"] |= {
            "uid": f"uid-{number}",
            "resourceVersion": "5",
            "generation": 1,
            "creationTimestamp": "2026-03-01T12:00:00Z",
        }
    return bodies


def drained(queue: WorkQueue) -> int:
    """How many pipelines wait; none do afterwards."""
    depth = queue.depth
    for key in KEYS:
        queue.forget(key)
    return depth


def test_a_scope_is_enqueued_once_it_is_synced(queue: WorkQueue) -> None:
    store = Store([NAMESPACE], [PIPELINES])
    scopes = SyncedScopes(store, queue)
    assert not scopes.enqueue_new()
    store.replace(PIPELINES, NAMESPACE, pipelines(), "5")
    assert scopes.enqueue_new()
    assert drained(queue) == 2
    assert scopes.enqueue_new()
    assert drained(queue) == 0


def test_a_scope_that_is_listed_again_at_once_is_enqueued_again(queue: WorkQueue) -> None:
    """A small list may be complete before anyone sees that it was missing."""
    store = Store([NAMESPACE], [PIPELINES])
    scopes = SyncedScopes(store, queue)
    store.replace(PIPELINES, NAMESPACE, pipelines(), "5")
    scopes.enqueue_new()
    drained(queue)
    store.expire(PIPELINES, NAMESPACE)
    scopes.forget()
    store.replace(PIPELINES, NAMESPACE, pipelines(), "6")
    scopes.enqueue_new()
    assert drained(queue) == 2


class BrokenArchiver(LogArchiver):
    """One with a mistake."""

    def __init__(self) -> None:
        pass

    def observe(self, pod: object) -> None:
        raise ZeroDivisionError(pod)


def test_a_fault_of_the_archive_hides_no_change_of_a_pod(queue: WorkQueue) -> None:
    store = Store([NAMESPACE])
    CacheEvents(store, queue, BrokenArchiver, queue.forget)
    store.replace(PIPELINES, NAMESPACE, pipelines()[:1], "5")
    drained(queue)
    body = pod("one-1-a", of="one-1", running=True)
    body["metadata"]["labels"][constants.LABEL_PIPELINE] = "one"
    store.upsert(PODS, {**body, "metadata": {"resourceVersion": "7", **body["metadata"]}})
    assert drained(queue) == 1
