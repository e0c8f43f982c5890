"""Retries of calls to the server within a time limit."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ingestion_runner.server import ServerCallError

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 5.0
"""Time limit of one call; the remaining time limits it too."""

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.4
_LONGEST_PAUSE_SECONDS = 3.0


def with_retries(call: Callable[[float], T], remaining: Callable[[], float]) -> T:
    """Call ``call`` with a timeout in seconds, retry after transient errors, and return the result.

    ``remaining`` returns the seconds left for all attempts, which decrease when the pod gets SIGTERM.

    Raises:
        ServerCallError: The last attempt failed.
    """
    pause = _FIRST_PAUSE_SECONDS
    attempts_left = _ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            return call(max(min(CALL_TIMEOUT_SECONDS, remaining()), 0.1))
        except ServerCallError as error:
            # Full jitter: after an outage of the server many pods retry at the same time.
            wait = random.uniform(0, pause)  # noqa: S311 - no secret depends on it
            if not attempts_left or not error.transient or remaining() <= wait:
                raise
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
