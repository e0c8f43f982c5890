"""What a watch has seen of a namespace's objects, so that waiting costs the API server next to nothing."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import urllib3
from kubernetes import client

from testing.watching import events


class Observed:
    """Notes one value of each object (what `read` returns of it) and when it was first seen with that value."""

    def __init__(
        self, api: client.ApiClient, path: str, read: Callable[[dict[str, Any]], Any], *, fields: str = ""
    ) -> None:
        """Watch the collection at `path`, or what a field selector selects of it."""
        self._api = api
        self._path = path
        self._fields = fields
        self._read = read
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)
        self.values: dict[str, Any] = {}
        self.seen_at: dict[str, float] = {}
        """time.perf_counter of each object's present value, by the object's name."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True  # the thread is a daemon: it may wait for an event that never comes

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

    def _run(self) -> None:
        while not self._stopped:
            try:
                for event in events(self._api, self._path, fields=self._fields):
                    self._note(event)
            except (urllib3.exceptions.HTTPError, OSError):
                time.sleep(0.1)  # the next watch begins with all objects that there are

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
