"""Waiting for a condition, with a bound."""

import asyncio
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


async def until(what: str, is_so: Callable[[], object], *, seconds: float = 10) -> None:
    """Let the event loop go on until something is so. Raises AssertionError when that takes longer."""
    end = asyncio.get_running_loop().time() + seconds
    while not is_so():
        assert asyncio.get_running_loop().time() < end, f"waited {seconds:.0f} s until {what}"
        await asyncio.sleep(0.005)
