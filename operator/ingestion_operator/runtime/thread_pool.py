"""A pool of threads that knows for how long its oldest piece of work has been in progress."""

import contextvars
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


class WatchedThreads(ThreadPoolExecutor):
    """Work sees the context variables of its submitter, so that its log lines carry the same fields."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.name = name
        self._begun: dict[object, float] = {}

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> "Future[_T]":
        """Do as the base class does."""
        context = contextvars.copy_context()

        def work() -> _T:
            token = object()
            self._begun[token] = time.monotonic()
            try:
                return context.run(fn, *args, **kwargs)
            finally:
                del self._begun[token]

        return super().submit(work)

    def longest_seconds(self) -> float:
        """Return for how long the oldest work has been in progress; 0 without any."""
        now = time.monotonic()
        return max(0.0, now - min(list(self._begun.values()), default=now))
