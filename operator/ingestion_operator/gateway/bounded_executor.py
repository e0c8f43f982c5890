"""Calls to the cluster in threads, each with a time limit."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

from ingestion_operator.errors import Unavailable

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

THREADS: Final = 32
"""Concurrent calls to the API server. They wait for the network and use little CPU."""

_OPEN_LIMIT: Final = 512
"""Running and waiting calls together. After an upgrade OpenMetadata deploys all pipelines in one burst."""

READ_SECONDS: Final = 8.0
WRITE_SECONDS: Final = 15.0
"""The server's client has no read timeout, so the gateway must end a slow request."""


class BoundedExecutor:
    """A pool of threads with a bounded queue and a time limit for each call."""

    def __init__(self, *, threads: int = THREADS, open_limit: int = _OPEN_LIMIT) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gateway")
        self._open_limit = open_limit
        self._open = 0
        self._lock = threading.Lock()

    async def run(self, call: Callable[[], _T], *, seconds: float) -> _T:
        """Return what `call` returns.

        Raises:
            Unavailable: The queue is full, or the call did not return within `seconds`. A call that has started by
                then continues to its end, so that no change is left incomplete; one that waits is cancelled.
        """
        with self._lock:
            if self._open >= self._open_limit:
                raise Unavailable(f"{self._open} calls are open already")
            self._open += 1
        future = self._pool.submit(copy_context().run, call)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            future.add_done_callback(_log_late)
            raise Unavailable(f"no response from the cluster within {seconds:.0f} s") from error

    def close(self) -> None:
        """Wait until all started calls have returned."""
        self._pool.shutdown(wait=True)

    def _done(self, _: Future[_T]) -> None:
        with self._lock:
            self._open -= 1


def _log_late(future: Future[_T]) -> None:
    if not future.cancelled():
        _logger.warning("A call that exceeded its time limit has ended: %s", future.exception() or "it succeeded")
