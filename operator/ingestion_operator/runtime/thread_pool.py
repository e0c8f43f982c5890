"""A thread pool that measures how long its oldest call has been running."""

import contextvars
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


class MonitoredThreadPool(ThreadPoolExecutor):
    """Runs each call with the context variables of its submitter, so that its log lines have the same fields."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.name = name
        self._started: dict[object, float] = {}

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> "Future[_T]":
        """Submit a call, as the base class does."""
        context = contextvars.copy_context()

        def call() -> _T:
            token = object()
            self._started[token] = time.monotonic()
            try:
                return context.run(fn, *args, **kwargs)
            finally:
                del self._started[token]

        return super().submit(call)

    def longest_seconds(self) -> float:
        """Return how long the oldest call has been running, in seconds; 0 if none is."""
        now = time.monotonic()
        return max(0.0, now - min(list(self._started.values()), default=now))
