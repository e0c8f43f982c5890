"""The cache of the pipelines' namespace, for a client that may be without one."""

from collections.abc import Callable, Mapping
from typing import Any

from ingestion_operator.cache.store import Store
from ingestion_operator.ports import Kind


class CacheAccess:
    """The store of one namespace. May be shared by threads."""

    def __init__(
        self, namespace: str, store: Store | None = None, is_current: Callable[[], bool] = lambda: True
    ) -> None:
        """`is_current` returns whether the store is kept up to date; without a store everything is read live."""
        self._namespace = namespace
        self._store = store
        self._is_current = is_current

    @property
    def has_store(self) -> bool:
        """Whether there is a cache at all."""
        return self._store is not None

    def current(self) -> Store | None:
        """Return the store to read from; None where the API server has to be asked.

        That is so until everything has been listed, and while lists or watches fail: an answer is never older than the
        delay of a watch, and what an API server that is away leaves unknown is reported as that.
        """
        if self._store is None or not self._store.has_synced(self._namespace) or not self._is_current():
            return None
        return self._store

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Take an object as the API server has just returned it, so that this client's next read shows it."""
        if self._store is not None:
            self._store.wrote(kind, body)

    def deleted(self, kind: Kind, name: str, uid: str) -> None:
        """Take an accepted deletion. An object that waits for its children counts as gone: that cannot be undone."""
        if self._store is not None:
            self._store.deleted(kind, self._namespace, name, uid)
