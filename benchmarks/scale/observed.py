"""What a watch has seen of a namespace's objects, so that waiting costs the API server next to nothing."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

from kubernetes import client

from testing.watching import WatchThread


class Observed:
    """Notes one value of each object (what `read` returns of it) and when it was first seen with that value."""

    def __init__(
        self, api: client.ApiClient, path: str, read: Callable[[dict[str, Any]], Any], *, fields: str = ""
    ) -> None:
        """Watch the collection at `path`, or what a field selector selects of it."""
        self._read = read
        self._changed = threading.Condition()
        self._watch = WatchThread(api, path, self._note, fields=fields)
        self.values: dict[str, Any] = {}
        self.seen_at: dict[str, float] = {}
        """time.perf_counter of each object's present value, by the object's name."""

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()

    def wait(self, condition: Callable[[dict[str, Any]], bool], *, timeout: float) -> bool:
        """Wait until the condition holds for the values by name; return whether it did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.values), timeout)

    def wait_for_count(self, count: int, *, timeout: float) -> bool:
        """Wait until so many objects have a true value; return whether they had in time."""
        return self.wait(lambda values: sum(map(bool, values.values())) >= count, timeout=timeout)

    def wait_for_value(self, name: str, value: Any, *, timeout: float) -> bool:
        """Wait until an object has the value; return whether it had in time."""
        return self.wait(lambda values: bool(values.get(name) == value), timeout=timeout)

    def _note(self, event: dict[str, Any]) -> None:
        body = event["object"]
        name = body.get("metadata", {}).get("name")
        if name is None:
            return
        with self._changed:
            value = None if event["type"] == "DELETED" else self._read(body)
            if name not in self.values or self.values[name] != value:
                self.values[name] = value
                self.seen_at[name] = time.perf_counter()
                self._changed.notify_all()
