"""From events to the work queue: kopf's handler of IngestionPipelines, and the changes of the cache.

All of them only enqueue. Workers decide from the cache, so an event that comes twice, late or never costs nothing.
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
    """Put the operator's handler of IngestionPipelines into `registry`."""

    @kopf.on.event(constants.GROUP, constants.VERSION, constants.PLURAL, registry=registry)
    async def pipeline_changed(namespace: str | None, name: str | None, event: kopf.RawEvent, **_: Any) -> None:
        if namespace and name and event["type"] in ("ADDED", "DELETED"):
            queue.add(PipelineKey(namespace, name))


class CacheEvents:
    """Enqueues the pipeline of whatever changes in the cache. Called by the reflectors, in one event loop."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue,
        archiver: Callable[[], LogArchiver | None],
        deleted: Callable[[PipelineKey], None],
    ) -> None:
        """`archiver` returns what follows logs now, if anything; `deleted` is called for pipelines that have gone."""
        self._queue = queue
        self._archiver = archiver
        self._deleted = deleted
        self._keys: dict[tuple[str, str], PipelineKey] = {}
        """Pipelines by namespace and the name of their CronJob, which their children carry as a label."""
        store.on_change(self.changed)

    def changed(self, kind: Kind, scope: str, old: Record | None, new: Record | None) -> None:
        """Take a change: an object that came (no old record), changed or went (no new one)."""
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
        place = record.namespace, cronjob_name(record.name)
        if new is None:
            self._keys.pop(place, None)
            self._deleted(record.key)
        else:
            self._keys[place] = record.key
        if _state(old) != _state(new):
            # A person waits for a run that is to end.
            is_kill = isinstance(new, PipelineRecord) and bool(new.kill) and (old is None or new.kill != _kill(old))
            self._queue.add(record.key, priority=Priority.HIGH if is_kill and old is not None else Priority.NORMAL)

    def _pod_changed(self, old: Record | None, new: Record | None) -> None:
        self._enqueue(new or old, Priority.HIGH)  # first: a fault of the archive must not hide the change
        archiver = self._archiver()
        if archiver is not None and isinstance(new, Pod):
            archiver.observe(new)
        elif archiver is not None and isinstance(old, Pod):
            archiver.forget(old)

    def _enqueue(self, record: Record | None, priority: Priority) -> None:
        if isinstance(record, CronJob):
            place = record.namespace, record.name
        elif isinstance(record, (Job, Pod)):
            place = record.namespace, record.pipeline
        else:
            return
        if (key := self._keys.get(place)) is not None:
            self._queue.add(key, priority=priority)


class SyncedScopes:
    """Enqueues all pipelines of a scope once everything of it has been listed. Belongs to one event loop."""

    def __init__(self, store: Store, queue: WorkQueue) -> None:
        self._store = store
        self._queue = queue
        self._known: set[str] = set()

    def forget(self) -> None:
        """Enqueue every scope again, also one that is synced again before the next `enqueue_new`."""
        self._known.clear()

    def enqueue_new(self) -> bool:
        """Enqueue the scopes that have been synced since the last call; return whether any scope is synced."""
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
    """Return what of a pipeline is worth a reconciliation: the generation leaves out the operator's own status."""
    if not isinstance(record, PipelineRecord):
        return ()
    return record.uid, record.generation, record.kill, record.is_deleting


def _kill(record: Record | None) -> str:
    return record.kill if isinstance(record, PipelineRecord) else ""


def _is_same_cronjob(old: Record | None, new: Record | None) -> bool:
    """Return whether nothing has changed but the status, which Kubernetes' own controller writes at each run."""
    if not isinstance(old, CronJob) or not isinstance(new, CronJob):
        return False
    return _cronjob_state(old) == _cronjob_state(new)


def _cronjob_state(record: CronJob) -> tuple[Any, ...]:
    return record.uid, record.generation, record.is_deleting, record.owner, dict(record.annotations)
