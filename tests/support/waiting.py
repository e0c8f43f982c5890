"""Waiting for a condition, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.25


def wait_for(what: str, probe: Callable[[], T | None], *, timeout: float) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises AssertionError that names `what` and the last answer when `timeout` seconds have passed.
    """
    end = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s for {what}; the last answer was {answer!r}")
        time.sleep(_PAUSE_SECONDS)
