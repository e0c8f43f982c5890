"""Thread-safe store of records: pipelines, CronJobs, Jobs and pods.

Three sources feed the store: lists and watch events from the reflectors, and the responses to this program's writes.
A response overlays the watched state until the watch has caught up, so that no decision uses a state older than this
program's last write. The resourceVersions decide which of two states is newer.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, cast

from ingestion_operator.cache.deletions import Deletions
from ingestion_operator.cache.projections import READERS, PipelineRecord, Record
from ingestion_operator.cache.reading import RecordReader
from ingestion_operator.cache.table import Name, Overlay, Table, is_older
from ingestion_operator.constants import LABEL_PIPELINE
from ingestion_operator.k8s.objects import labels_of
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import CronJob, Job, PipelineKey
from ingestion_operator.runs.pods import Pod

_logger = logging.getLogger(__name__)

_OVERLAY_SECONDS: Final = 60.0
"""How long an overlay takes precedence over a list that lacks it: far longer than any list takes.

Afterwards the list takes precedence: in a cluster restored from a backup the resourceVersions are lower.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A record that was added (old is None), changed or removed (new is None)."""

    kind: Kind
    scope: str
    """The namespace that the reflector reads; "" for the whole cluster."""
    old: Record | None
    new: Record | None


Observer = Callable[[Kind, str, Record | None, Record | None], None]
"""Called with kind, scope, old and new record. Must return quickly; several threads may call it."""


class Store:
    """Records of a list of scopes: namespaces, or "" alone for the whole cluster.

    Reads return new lists of immutable records. The store has every object that can be read into a record; of CronJobs,
    Jobs and pods only those with the pipeline label.
    """

    def __init__(
        self,
        scopes: Iterable[str],
        kinds: Iterable[Kind] = READERS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create an empty store; `has_synced` returns True once each kind of a scope was listed."""
        self.scopes = tuple(dict.fromkeys(scopes))
        self.kinds = tuple(kinds)
        self._monotonic = monotonic
        self._lock = Lock()
        self._tables: dict[Kind, Table[Any]] = {kind: _table(kind) for kind in self.kinds}
        self._deletions = Deletions(monotonic)
        self._reader = RecordReader()
        self._observers: list[Observer] = []

    # Reads

    def pipeline(self, key: PipelineKey) -> PipelineRecord | None:
        """Return a pipeline, or None."""
        return cast(PipelineRecord | None, self._get(PIPELINES, key.namespace, key.name))

    def pipelines(self, namespace: str = "") -> list[PipelineRecord]:
        """Return the pipelines of a namespace, or all of them, in any order."""
        with self._lock:
            return self._tables[PIPELINES].of_scope(namespace)

    def pipelines_called(self, namespace: str, bare_name: str) -> list[PipelineRecord]:
        """Return the pipelines that have a name in OpenMetadata (PipelineRecord.bare_name), in any order."""
        with self._lock:
            return self._tables[PIPELINES].of_pipeline((namespace, bare_name))

    def cronjob(self, namespace: str, name: str) -> CronJob | None:
        """Return a CronJob, or None."""
        return cast(CronJob | None, self._get(CRONJOBS, namespace, name))

    def job(self, namespace: str, name: str) -> Job | None:
        """Return a Job, or None."""
        return cast(Job | None, self._get(JOBS, namespace, name))

    def jobs_of(self, namespace: str, cronjob_name: str) -> list[Job]:
        """Return the Jobs with a pipeline's label, in any order. Their owner may be another object."""
        with self._lock:
            return self._tables[JOBS].of_pipeline((namespace, cronjob_name))

    def pods(self, namespace: str = "") -> list[Pod]:
        """Return the pods of a namespace, or all of them, in any order."""
        with self._lock:
            return self._tables[PODS].of_scope(namespace)

    def pods_of(self, namespace: str, cronjob_name: str) -> list[Pod]:
        """Return the pods with a pipeline's label, in any order. Their owner may be another object."""
        with self._lock:
            return self._tables[PODS].of_pipeline((namespace, cronjob_name))

    def jobs_owned_by(self, uid: str) -> list[Job]:
        """Return the Jobs whose controller is a CronJob or pipeline of this UID, in any order."""
        with self._lock:
            return self._tables[JOBS].of_controller(uid)

    def pods_owned_by(self, uid: str) -> list[Pod]:
        """Return the pods whose controller is a Job of this UID, in any order."""
        with self._lock:
            return self._tables[PODS].of_controller(uid)

    def recently_deleted_pods(self, namespace: str, cronjob_name: str) -> list[Pod]:
        """Return the last known states of deleted pods, the oldest deletion first.

        The end of a pod may appear only in its deletion event. The last 1,000 are kept for ten minutes at most.
        """
        with self._lock:
            found = self._deletions.pods()
        return [pod for pod in found if (pod.namespace, pod.pipeline) == (namespace, cronjob_name)]

    def forget_deleted_pods(self, uids: Iterable[str]) -> None:
        """Forget deleted pods whose end is recorded."""
        with self._lock:
            self._deletions.forget_pods(uids)

    def has_synced(self, namespace: str) -> bool:
        """Return whether all kinds of the scope that covers a namespace have been listed; False if no scope does."""
        scope = self._scope_of(namespace)
        with self._lock:
            return scope is not None and self._is_synced(scope)

    def synced_scopes(self) -> list[str]:
        """Return the scopes whose kinds have all been listed."""
        with self._lock:
            return [scope for scope in self.scopes if self._is_synced(scope)]

    # Changes from the API server

    def on_change(self, observer: Observer) -> None:
        """Call `observer` for each change from lists and watches, without holding the lock.

        Overlays are not reported. A write of another client that is older than an overlay is reported with the same
        record as old and new.
        """
        self._observers.append(observer)

    def read(self, kind: Kind, body: Mapping[str, Any]) -> Record | None:
        """Return the record of an object; None, with one log line per UID, if it cannot be read."""
        return self._reader.read(kind, body)

    def replace(
        self, kind: Kind, scope: str, items: Iterable[Mapping[str, Any] | Record], resource_version: str
    ) -> list[Change]:
        """Replace a scope by a complete list, as bodies or records, atomically. Return the changes."""
        changes = self.exchange(kind, scope, items, resource_version)
        self.notify(changes)
        return changes

    def exchange(
        self, kind: Kind, scope: str, items: Iterable[Mapping[str, Any] | Record], resource_version: str
    ) -> list[Change]:
        """Do the same as `replace`, but let the caller `notify` of the changes, in batches if needed."""
        read = (self.read(kind, item) if isinstance(item, Mapping) else item for item in items)
        listed = {(record.namespace, record.name): record for record in read if record is not None}
        with self._lock:
            return self._exchange(kind, scope, listed, resource_version)

    def notify(self, changes: Iterable[Change]) -> None:
        """Call the observers; their errors are logged."""
        for change in changes:
            for observer in self._observers:
                try:
                    observer(change.kind, change.scope, change.old, change.new)
                except Exception:
                    _logger.exception("An observer of the cache failed")

    def upsert(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Store an object that a watch showed as added or modified."""
        if (record := self.read(kind, body)) is None:  # an unreadable object is absent, as in a list
            self.remove(kind, body)
            return
        with self._lock:
            change = self._upsert(kind, record)
        self.notify([change] if change is not None else [])

    def remove(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Remove an object that a watch showed as deleted; `body` is its last state."""
        last = self.read(kind, body) if kind == PODS else None
        with self._lock:
            change = self._remove(kind, body.get("metadata") or {}, last)
        self.notify([change] if change is not None else [])

    def expire(self, kind: Kind, scope: str) -> None:
        """Treat a scope as not synced until it is replaced; its records stay."""
        with self._lock:
            self._tables[kind].versions.pop(scope, None)

    def advance(self, kind: Kind, scope: str, resource_version: str) -> None:
        """Record a bookmark: the watch has shown all changes of a scope up to a version."""
        with self._lock:
            self._tables[kind].advance(scope, resource_version)

    # Overlays

    def overlay_write(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Store the response to a create, apply or patch of this program. Observers are not called."""
        labels = labels_of(body) if kind != PIPELINES else {LABEL_PIPELINE: ""}
        scope = self._scope_of(body["metadata"]["namespace"])
        if kind not in self._tables or scope is None or LABEL_PIPELINE not in labels:
            return  # the watch would never catch up
        record = self.read(kind, body)
        if record is None:
            return
        with self._lock:
            self._overlay(self._tables[kind], scope, record)

    def overlay_deletion(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Remove an object that the API server has deleted on request of this program. Observers are not called."""
        if kind not in self._tables or self._scope_of(namespace) is None:
            return
        with self._lock:
            self._deletions.add(uid, is_own=True)
            current = self._tables[kind].get(namespace, name)
            if current is not None and current.uid == uid:
                self._drop(kind, current)

    # With the lock held

    def _exchange(self, kind: Kind, scope: str, listed: dict[Name, Record], version: str) -> list[Change]:
        table = self._tables[kind]
        changes: list[Change] = []
        expired = self._monotonic() - _OVERLAY_SECONDS
        for name in [name for name, own in table.overlays.items() if own.written_at < expired]:
            del table.overlays[name]
        overlaid = {name for name in table.overlays if _is_ahead(table.get(*name), version)}
        for name, record in listed.items():
            current = table.get(*name)
            if name in overlaid or self._deletions.has(record.uid):
                continue  # the list is older than the overlay
            if current is None or _version(current) != _version(record):
                table.put(record)
                changes.append(Change(kind, scope, current, record))
            elif name in table.overlays:  # a list hides earlier writes of other clients
                changes.append(Change(kind, scope, current, current))
            table.overlays.pop(name, None)
        for current in table.of_scope(scope):
            name = current.namespace, current.name
            if name in overlaid:
                changes.append(Change(kind, scope, current, current))  # as above
            elif name not in listed:
                self._drop(kind, current)
                changes.append(Change(kind, scope, current, None))
        table.versions[scope] = version
        return changes

    def _upsert(self, kind: Kind, record: Record) -> Change | None:
        table, name = self._tables[kind], (record.namespace, record.name)
        scope = self._scope_of(record.namespace)
        if scope is None:
            return None
        table.advance(scope, record.resource_version)
        if self._deletions.has(record.uid):
            return None
        current, own = table.get(*name), table.overlays.get(name)
        if _is_ahead(current, record.resource_version):
            is_foreign = own is not None and record.resource_version not in own.versions
            return Change(kind, scope, current, current) if is_foreign else None
        table.overlays.pop(name, None)
        if current is not None and _version(current) == _version(record):
            return None
        table.put(record)
        return Change(kind, scope, current, record)

    def _remove(self, kind: Kind, metadata: Mapping[str, Any], last: Record | None) -> Change | None:
        table = self._tables[kind]
        namespace, name, version = (str(metadata.get(key, "")) for key in ("namespace", "name", "resourceVersion"))
        scope = self._scope_of(namespace)
        if scope is None:
            return None
        table.advance(scope, version)
        is_own = self._deletions.confirm(str(metadata.get("uid", "")))
        current: Record | None = table.get(namespace, name)
        is_reused = _is_ahead(current, version)  # this program has created another object of the same name
        if current is not None and not is_reused:
            self._drop(kind, current)
        if isinstance(last, Pod):
            self._deletions.add_pod(last)
        if current is None or (is_reused and is_own):
            return None
        return Change(kind, scope, current, current if is_reused else None)

    def _overlay(self, table: Table[Any], scope: str, record: Record) -> None:
        version = record.resource_version
        seen = table.versions.get(scope, "")
        current, name = table.get(record.namespace, record.name), (record.namespace, record.name)
        if self._deletions.has(record.uid) or version == seen or is_older(version, seen):
            return  # the watch has shown this state or a later one
        own = table.overlays.setdefault(name, Overlay(0.0))
        own.written_at = self._monotonic()
        own.versions.add(version)
        is_outdated = _is_ahead(current, version)  # responses may arrive out of order
        if current is not None and current.uid != record.uid:  # of two objects with one name the older is deleted
            self._deletions.add(record.uid if is_outdated else current.uid, is_own=False)
        if not is_outdated:
            table.put(record)

    def _drop(self, kind: Kind, record: Record) -> None:
        self._tables[kind].drop(record)
        if isinstance(record, Pod):
            self._deletions.add_pod(record)

    def _get(self, kind: Kind, namespace: str, name: str) -> Record | None:
        with self._lock:
            return cast(Record | None, self._tables[kind].get(namespace, name))

    def _scope_of(self, namespace: str) -> str | None:
        return next((scope for scope in ("", namespace) if scope in self.scopes), None)

    def _is_synced(self, scope: str) -> bool:
        return all(scope in table.versions for table in self._tables.values())


def _is_ahead(record: Record | None, version: str) -> bool:
    return record is not None and is_older(version, record.resource_version)


def _version(record: Record) -> tuple[str, str]:
    return record.uid, record.resource_version


def _table(kind: Kind) -> Table[Any]:
    if kind == PIPELINES:
        return Table[PipelineRecord](lambda one: (one.namespace, one.bare_name), lambda _: None)
    if kind == CRONJOBS:
        return Table[CronJob](lambda _: None, _controller_uid)
    return Table[Any](lambda one: (one.namespace, one.pipeline), _controller_uid)


def _controller_uid(record: CronJob | Job | Pod) -> str | None:
    return record.owner.uid if record.owner is not None else None
