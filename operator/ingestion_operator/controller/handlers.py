"""Handlers that enqueue pipelines: kopf's handler of IngestionPipelines, and the observer of the cache.

They only enqueue. Workers decide from the cache, so events that arrive twice, late or never do no harm.
"""

from collections.abc import Callable
from typing import Any

import kopf

from ingestion_operator import constants
from ingestion_operator.cache.projections import PipelineRecord, Record
from ingestion_operator.cache.store import Store
from ingestion_operator.k8s.naming import cronjob_name
from ingestion_operator.logs.archiver import LogArchiver
from ingestion_operator.ports import PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import CronJob, Job, PipelineKey
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runtime.workqueue import Priority, WorkQueue


def register(registry: kopf.OperatorRegistry, queue: WorkQueue) -> None:
    """Register the operator's handler of IngestionPipelines."""

    @kopf.on.event(constants.GROUP, constants.VERSION, constants.PLURAL, registry=registry)
    async def pipeline_changed(namespace: str | None, name: str | None, event: kopf.RawEvent, **_: Any) -> None:
        if namespace and name and event["type"] in ("ADDED", "DELETED"):
            queue.add(PipelineKey(namespace, name))


class CacheEvents:
    """Enqueues the pipeline of each changed object. The reflectors call it, in one event loop."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue,
        archiver: Callable[[], LogArchiver | None],
        deleted: Callable[[PipelineKey], None],
    ) -> None:
        """Observe `store`.

        Args:
            store: The cache's store.
            queue: Receives the pipelines.
            archiver: Returns the running log archiver, if any.
            deleted: Called for each deleted pipeline.
        """
        self._queue = queue
        self._archiver = archiver
        self._deleted = deleted
        self._keys: dict[tuple[str, str], PipelineKey] = {}
        """Pipelines by namespace and name of their CronJob, which their children have as a label."""
        store.on_change(self.changed)

    def changed(self, kind: Kind, scope: str, old: Record | None, new: Record | None) -> None:
        """Handle an object that was added (no old record), changed or deleted (no new record)."""
        del scope
        if kind == PIPELINES:
            self._pipeline_changed(old, new)
        elif kind == PODS:
            self._pod_changed(old, new)
        elif isinstance(new or old, Job):
            self._enqueue(new or old, Priority.HIGH)
        elif not _is_same_cronjob(old, new):
            self._enqueue(new or old, Priority.NORMAL)

    def _pipeline_changed(self, old: Record | None, new: Record | None) -> None:
        record = new or old
        if not isinstance(record, PipelineRecord):
            return
        child_key = record.namespace, cronjob_name(record.name)
        if new is None:
            self._keys.pop(child_key, None)
            self._deleted(record.key)
        else:
            self._keys[child_key] = record.key
        if _state(old) != _state(new):
            # A user waits for the run to stop.
            is_kill = isinstance(new, PipelineRecord) and bool(new.kill) and (old is None or new.kill != _kill(old))
            self._queue.add(record.key, priority=Priority.HIGH if is_kill and old is not None else Priority.NORMAL)

    def _pod_changed(self, old: Record | None, new: Record | None) -> None:
        self._enqueue(new or old, Priority.HIGH)  # first: an error of the archiver must not lose the change
        archiver = self._archiver()
        if archiver is not None and isinstance(new, Pod):
            archiver.observe(new)
        elif archiver is not None and isinstance(old, Pod):
            archiver.forget(old)

    def _enqueue(self, record: Record | None, priority: Priority) -> None:
        if isinstance(record, CronJob):
            child_key = record.namespace, record.name
        elif isinstance(record, (Job, Pod)):
            child_key = record.namespace, record.pipeline
        else:
            return
        if (key := self._keys.get(child_key)) is not None:
            self._queue.add(key, priority=priority)


class SyncedScopes:
    """Enqueues all pipelines of a scope once the scope is synced. Belongs to one event loop."""

    def __init__(self, store: Store, queue: WorkQueue) -> None:
        self._store = store
        self._queue = queue
        self._known: set[str] = set()

    def forget(self) -> None:
        """Let the next `enqueue_new` enqueue every synced scope again."""
        self._known.clear()

    def enqueue_new(self) -> bool:
        """Enqueue the scopes synced since the last call; return whether any scope is synced."""
        synced = set(self._store.synced_scopes())
        for scope in synced - self._known:
            self.enqueue(scope)
        self._known = synced
        return bool(synced)

    def enqueue(self, scope: str = "") -> None:
        """Enqueue the pipelines of a scope, or all of them."""
        for pipeline in self._store.pipelines(scope):
            self._queue.add(pipeline.key)


def _state(record: Record | None) -> tuple[Any, ...]:
    """Return the fields whose change needs a reconciliation. Status writes do not change the generation."""
    if not isinstance(record, PipelineRecord):
        return ()
    return record.uid, record.generation, record.kill, record.is_deleting


def _kill(record: Record | None) -> str:
    return record.kill if isinstance(record, PipelineRecord) else ""


def _is_same_cronjob(old: Record | None, new: Record | None) -> bool:
    """Return whether only the status has changed, which Kubernetes' CronJob controller writes at each run."""
    if not isinstance(old, CronJob) or not isinstance(new, CronJob):
        return False
    return _cronjob_state(old) == _cronjob_state(new)


def _cronjob_state(record: CronJob) -> tuple[Any, ...]:
    return record.uid, record.generation, record.is_deleting, record.owner, dict(record.annotations)
