"""Calls to the server that are repeated while there is time."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ingestion_runner.server import ServerCallError

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 5.0
"""Longest wait for one answer; never longer than what is left."""

_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.4
_LONGEST_PAUSE_SECONDS = 3.0


def with_retries(call: Callable[[float], T], remaining: Callable[[], float]) -> T:
    """The answer of ``call``, which is given its timeout in seconds; repeated after passing errors.

    ``remaining`` tells the seconds left for it all; it may drop at any time, when the pod is asked to go.

    Raises
    ------
    ServerCallError
        The last try's.
    """
    pause = _FIRST_PAUSE_SECONDS
    tries_left = _TRIES
    while True:
        tries_left -= 1
        try:
            return call(max(min(CALL_TIMEOUT_SECONDS, remaining()), 0.1))
        except ServerCallError as error:
            # Full jitter: after an outage of the server many pods end up here at the same moment.
            wait = random.uniform(0, pause)  # noqa: S311 - no secret depends on it
            if not tries_left or not error.transient or remaining() <= wait:
                raise
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
