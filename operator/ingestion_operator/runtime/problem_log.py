"""Log lines about a lasting problem: one when it starts or changes, then a reminder, and one when it is over."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

from ingestion_operator.errors import OperatorError

REPEAT_SECONDS: Final = 60.0


class ProblemLog:
    """The log of one activity that is retried every few seconds. For one thread at a time."""

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
        self._suppressed = 0

    def failed(self, text: str, error: Exception) -> None:
        """Log a warning with `text` and the error; an unexpected error at level ERROR with its traceback.

        The cause changes with the type or the HTTP code of the error, not with its text, which may hold ports and
        times.
        """
        if not self._is_due((type(error), getattr(error, "code", 0))):
            return
        if isinstance(error, OperatorError):
            self._logger.warning("%s: %s", text, error)
        else:
            self._logger.error("%s: unexpected %s", text, type(error).__name__, exc_info=error)

    def warn(self, text: str, cause: Hashable = "") -> None:
        """Log a warning, with the number of warnings suppressed since the last one."""
        suppressed = self._suppressed
        if self._is_due((cause,)):
            self._logger.warning("%s%s", text, f" ({suppressed} more since)" if suppressed else "")

    def succeeded(self, text: str) -> None:
        """Log `text` if there was a problem until now."""
        if self._cause is not None:
            self._cause, self._suppressed = None, 0
            self._logger.info("%s", text)

    def _is_due(self, cause: Hashable) -> bool:
        now = self._monotonic()
        if cause == self._cause and now - self._logged_at < self._repeat_seconds:
            self._suppressed += 1
            return False
        self._cause, self._logged_at, self._suppressed = cause, now, 0
        return True
