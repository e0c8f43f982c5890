"""The loop that keeps the warm pool full."""

import logging
import threading
from typing import Final, Protocol

from ingestion_operator.errors import OperatorError

_logger = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 5.0


class Pool(Protocol):
    """Implemented by WarmPool."""

    def keep_full(self) -> None:
        """Make what is missing and retire what is outdated."""

    def wait(self, seconds: float) -> None:
        """Return after so long, or when something is missing."""

    def wake(self) -> None:
        """End the waiting."""


class Warming:
    """Looks at the pool in a thread of its own until it is stopped. The pods stay: the next gateway uses them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._stopped = threading.Event()
        self._complaint = ""
        self._thread = threading.Thread(target=self._run, name="warm-pool", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the present look."""
        self._stopped.set()
        self._pool.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._pool.wait(_PERIOD_SECONDS)

    def _look(self) -> None:
        complaint = ""
        try:
            self._pool.keep_full()
        except OperatorError as error:
            complaint = str(error)
        except Exception:
            _logger.exception("The warm pool cannot be looked after")
        if complaint and complaint != self._complaint:
            _logger.warning("The warm pool cannot be looked after: %s", complaint)
        self._complaint = complaint
