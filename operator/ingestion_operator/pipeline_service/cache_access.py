"""Access to the cache of the pipelines' namespace, for a client that may have none."""

from collections.abc import Callable, Mapping
from typing import Any

from ingestion_operator.cache.store import Store
from ingestion_operator.ports import Kind


class CacheAccess:
    """The store of one namespace. May be shared by threads."""

    def __init__(
        self, namespace: str, store: Store | None = None, is_current: Callable[[], bool] = lambda: True
    ) -> None:
        """`is_current` returns whether the store is up to date. Without a store everything is read live."""
        self._namespace = namespace
        self._store = store
        self._is_current = is_current

    @property
    def has_store(self) -> bool:
        """Whether there is a cache."""
        return self._store is not None

    def current(self) -> Store | None:
        """Return the store, or None if the caller must read from the API server.

        That is the case until all kinds are listed, and while a list or watch fails. So results are never older than
        the delay of a watch, and an unreachable API server is reported as such.
        """
        if self._store is None or not self._store.has_synced(self._namespace) or not self._is_current():
            return None
        return self._store

    def overlay_write(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Put an object that the API server has just returned into the store, so that the next read returns it."""
        if self._store is not None:
            self._store.overlay_write(kind, body)

    def overlay_deletion(self, kind: Kind, name: str, uid: str) -> None:
        """Remove an object whose deletion was accepted. It counts as deleted even while it waits for its children."""
        if self._store is not None:
            self._store.overlay_deletion(kind, self._namespace, name, uid)
