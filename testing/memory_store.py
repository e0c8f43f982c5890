"""A store in memory, with faults."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from ingestion_operator.errors import NotFound, StoreError
from ingestion_operator.ports import StoredObject
from testing.fake_clock import FakeClock


class MemoryStore:
    """Implements the port LogStore; `is_away` lets every call fail."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.is_away = False
        self.reads: list[str] = []
        self.before_read: Callable[[], object] | None = None
        """Called once, before the next `get`."""
        self._clock = clock or FakeClock()

    def put(self, key: str, data: bytes) -> None:
        self._check("put", key)
        self.objects[key] = data, self._clock.now()

    def get(self, key: str) -> bytes:
        self._check("get", key)
        if (action := self.before_read) is not None:
            self.before_read = None
            action()
        self.reads.append(key)
        if key not in self.objects:
            raise NotFound(f"there is no {key}", code=404)
        return self.objects[key][0]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        self._check("list", prefix)
        for key, (data, modified) in list(self.objects.items()):
            if not prefix or key.startswith(f"{prefix}/"):
                yield StoredObject(key, len(data), modified)

    def delete(self, keys: Sequence[str]) -> None:
        self._check("delete", keys[0])
        for key in keys:
            self.objects.pop(key, None)

    def _check(self, operation: str, key: str) -> None:
        if self.is_away:
            raise StoreError(f"cannot {operation} {key}: the store is away")
