"""A lasting problem in the log: once when it begins or changes, then seldom, and once when it is over."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

from ingestion_operator.errors import ClusterError

REPEAT_SECONDS: Final = 60.0


class ProblemLog:
    """The log of one activity that is retried every few seconds. For one caller at a time."""

    def __init__(
        self,
        logger: logging.Logger,
        *,
        repeat_seconds: float = REPEAT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Repeat the line after `repeat_seconds` while the problem lasts; infinite means never."""
        self._logger = logger
        self._repeat_seconds = repeat_seconds
        self._monotonic = monotonic
        self._cause: Hashable = None
        self._logged_at = float("-inf")

    def failed(self, text: str, error: Exception) -> None:
        """Log a warning with `text` and the error; an unexpected error at level ERROR with its traceback.

        The problem is another one when the type or the HTTP code of the error changes: texts hold ports and times.
        """
        cause = type(error), getattr(error, "code", 0)
        now = self._monotonic()
        if cause == self._cause and now - self._logged_at < self._repeat_seconds:
            return
        self._cause, self._logged_at = cause, now
        if isinstance(error, ClusterError):
            self._logger.warning("%s: %s", text, error)
        else:
            self._logger.error("%s: unexpected %s", text, type(error).__name__, exc_info=error)

    def succeeded(self, text: str) -> None:
        """Log `text` if there was a problem until now."""
        if self._cause is not None:
            self._cause = None
            self._logger.info("%s", text)
