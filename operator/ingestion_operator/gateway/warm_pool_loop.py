"""The loop that maintains the warm pool."""

import logging
import threading
from typing import Final, Protocol

from ingestion_operator.runtime.problem_log import ProblemLog

_logger = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 5.0


class Pool(Protocol):
    """Implemented by WarmPool."""

    def keep_full(self) -> None:
        """Create missing Jobs and retire outdated ones."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or earlier when a Job is missing."""

    def wake(self) -> None:
        """End the wait."""


class WarmPoolLoop:
    """Maintains the pool in its own thread until it is stopped. The pods stay: the next gateway uses them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._stopped = threading.Event()
        self._log = ProblemLog(_logger)
        self._thread = threading.Thread(target=self._run, name="warm-pool", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the current pass."""
        self._stopped.set()
        self._pool.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._maintain()
            self._pool.wait(_PERIOD_SECONDS)

    def _maintain(self) -> None:
        try:
            self._pool.keep_full()
        except Exception as error:  # noqa: BLE001  no error must end the loop
            self._log.failed("The warm pool was not maintained", error)
        else:
            self._log.succeeded("The warm pool is maintained again")
