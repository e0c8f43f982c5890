"""Records of one kind by name, with two indexes. Not thread-safe: the store holds its lock during each call."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

Name = tuple[str, str]
"""Namespace and name."""


class Named(Protocol):
    """The fields that every record has."""

    @property
    def namespace(self) -> str:
        """The namespace, never empty."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def uid(self) -> str:
        """The UID, which is never reused."""

    @property
    def resource_version(self) -> str:
        """The resourceVersion. Compare it with `is_older`."""


R = TypeVar("R", bound=Named)


def is_older(version: str, than: str) -> bool:
    """Return whether one resourceVersion precedes another of the same kind.

    They are compared as integers (KEP-5504). If one is not an integer, the order is unknown: return False.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


@dataclass(slots=True)
class Overlay:
    """The versions of an object that this program wrote and that the watch has not shown yet."""

    written_at: float
    """When the last one was written, in monotonic seconds."""
    versions: set[str] = field(default_factory=set)


class Table(Generic[R]):
    """Records by namespace and name, by pipeline, and by the UID of their controller."""

    def __init__(self, pipeline: Callable[[R], Hashable], controller: Callable[[R], Hashable]) -> None:
        """Create a table whose records are indexed by the results of the two functions; None means not indexed."""
        self._records: dict[str, dict[str, R]] = {}
        self._by_pipeline = _Index(pipeline)
        self._by_controller = _Index(controller)
        self.overlays: dict[Name, Overlay] = {}
        self.versions: dict[str, str] = {}
        """By scope: the resourceVersion up to which list and watch have shown all changes."""

    def get(self, namespace: str, name: str) -> R | None:
        """Return a record."""
        return self._records.get(namespace, {}).get(name)

    def of_pipeline(self, key: Hashable) -> list[R]:
        """Return the records with a key of the first index, in any order."""
        return self._by_pipeline.find(key)

    def of_controller(self, uid: str) -> list[R]:
        """Return the records of a controller, in any order."""
        return self._by_controller.find(uid)

    def of_scope(self, scope: str) -> list[R]:
        """Return the records of a namespace, or all of them (""), in any order."""
        namespaces = [self._records.get(scope, {})] if scope else self._records.values()
        return [record for names in namespaces for record in names.values()]

    def advance(self, scope: str, version: str) -> None:
        """Record that list and watch have shown all changes of a scope up to a version."""
        if scope in self.versions and not is_older(version, self.versions[scope]):
            self.versions[scope] = version

    def put(self, record: R) -> None:
        """Add a record or replace the one of the same name."""
        names = self._records.setdefault(record.namespace, {})
        old = names.get(record.name)
        names[record.name] = record
        for index in (self._by_pipeline, self._by_controller):
            if old is not None:
                index.remove(old)
            index.add(record)

    def drop(self, record: R) -> None:
        """Remove a record and its overlay."""
        names = self._records[record.namespace]
        del names[record.name]
        if not names:
            del self._records[record.namespace]
        for index in (self._by_pipeline, self._by_controller):
            index.remove(record)
        self.overlays.pop((record.namespace, record.name), None)


class _Index(Generic[R]):
    """Records by a key. Buckets are tuples: they are small and take a third of the memory of dicts."""

    def __init__(self, key: Callable[[R], Hashable]) -> None:
        self._key = key
        self._buckets: dict[Hashable, tuple[R, ...]] = {}

    def find(self, key: Hashable) -> list[R]:
        return list(self._buckets.get(key, ()))

    def add(self, record: R) -> None:
        if (key := self._key(record)) is not None:
            self._buckets[key] = (*self._buckets.get(key, ()), record)

    def remove(self, record: R) -> None:
        if (key := self._key(record)) is None:
            return
        if rest := tuple(one for one in self._buckets[key] if one is not record):
            self._buckets[key] = rest
        else:
            del self._buckets[key]
