"""Whether this process is stuck. Nothing outside of it counts: an API server that is away is no reason to restart."""

import time
from collections.abc import Callable
from typing import Final

LOOP_SECONDS: Final = 60.0
"""A loop has to come round at least so often; each of ours does so every few seconds, or every half minute."""

CALL_SECONDS: Final = 900.0
"""A worker thread may take so long for one piece of work. Each call in it is bounded by seconds, and an API server
that answers nothing makes a look take a few minutes at most."""


class Liveness:
    """Collects the signs of life of loops, and asks threads how long they have been at it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._beats: dict[str, float] = {}
        self._checks: list[Callable[[], str]] = []

    def loop(self, name: str) -> Callable[[], None]:
        """Return what the loop of that name calls each time it comes round; from now on it has to."""

        def beat() -> None:
            self._beats[name] = self._monotonic()

        beat()
        return beat

    def check(self, problem: Callable[[], str]) -> None:
        """Ask `problem` too: it returns what is wrong, or nothing."""
        self._checks.append(problem)

    def problems(self) -> list[str]:
        """Return what is stuck, one sentence each; empty when all is well."""
        now = self._monotonic()
        silent = [
            f"the loop {name!r} has not come round for {now - beat:.0f} s"
            for name, beat in self._beats.items()
            if now - beat > LOOP_SECONDS
        ]
        return silent + [text for check in self._checks if (text := check())]
