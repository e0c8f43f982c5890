"""Calls to the cluster, in threads, each bounded in time."""

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
"""Calls to the API server at a time. They wait for the network, not for this process."""

_OPEN_LIMIT: Final = 512
"""Calls running and waiting. OpenMetadata deploys all pipelines in one burst after an upgrade."""

READ_SECONDS: Final = 8.0
WRITE_SECONDS: Final = 15.0
"""The server's client waits for ever, so it is the gateway that has to give up."""


class Work:
    """A pool of threads that neither keeps a caller waiting for ever nor grows without bound."""

    def __init__(self, *, threads: int = THREADS, open_limit: int = _OPEN_LIMIT) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gateway")
        self._open_limit = open_limit
        self._open = 0
        self._lock = threading.Lock()

    async def run(self, call: Callable[[], _T], *, seconds: float) -> _T:
        """Return what `call` returns.

        Raises Unavailable after `seconds`. A call that has begun by then goes on to its end, so that nothing
        stays half done; one that has not is dropped.
        """
        with self._lock:
            if self._open >= self._open_limit:
                raise Unavailable(f"{self._open} calls are open already")
            self._open += 1
        job = self._pool.submit(copy_context().run, call)
        job.add_done_callback(self._done)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            job.add_done_callback(_log_late)
            raise Unavailable(f"no answer from the cluster within {seconds:.0f} s") from error

    def close(self) -> None:
        """Wait until everything that has begun is done."""
        self._pool.shutdown(wait=True)

    def _done(self, _: Future[_T]) -> None:
        with self._lock:
            self._open -= 1


def _log_late(job: Future[_T]) -> None:
    if not job.cancelled():
        _logger.warning("A call that was given up has ended: %s", job.exception() or "it succeeded")
