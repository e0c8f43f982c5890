"""Progress for people who wait: what is being done, and for how long it has been going on."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from testcluster.errors import TestClusterError

_SILENT_SECONDS = 2.0
_REPEAT_SECONDS = 15.0


def show(line: str) -> None:
    """One line for the person at the terminal; standard output stays free for results."""
    print(f"{line}\n", end="", file=sys.stderr, flush=True)  # in one piece, since threads print too


@contextmanager
def step(what: str) -> Iterator[None]:
    """Prints a step that takes longer than two seconds, with its elapsed time."""
    started = time.monotonic()
    ended = threading.Event()

    def repeat() -> None:
        wait = _SILENT_SECONDS
        while not ended.wait(wait):
            show(f"{what} ... {time.monotonic() - started:.0f} s")
            wait = _REPEAT_SECONDS

    reporter = threading.Thread(target=repeat, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
    took = time.monotonic() - started
    if took > _SILENT_SECONDS:
        show(f"{what}: {took:.0f} s")


def wait_until(
    what: str,
    condition: Callable[[], bool],
    *,
    timeout: float,
    pause: float = 0.1,
    hint: str = "",
) -> None:
    """Waits for a condition. Raises TestClusterError, with the hint's text, after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    with step(f"waiting for {what}"):
        while not condition():
            if time.monotonic() > deadline:
                raise TestClusterError(f"{what}: not after {timeout:.0f} s. {hint}".rstrip())
            time.sleep(pause)
