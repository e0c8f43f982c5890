"""Memory and CPU time of both processes over the time that one size takes, and what went on when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from testing.process import cpu_seconds, resident_mib

Sample = tuple[float, float, float]
"""Seconds since the beginning, MiB, CPU seconds of the process."""

_EVERY_SECONDS: Final = 0.5


@dataclass
class Timeline:
    """Belongs to one size."""

    begin: float = field(default_factory=time.monotonic)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    """Name, begin and end, in seconds since the beginning."""

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return round(time.monotonic() - self.begin, 1)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note when the block began and ended."""
        begin = self.now()
        yield
        self.phases.append((name, begin, self.now()))

    @contextmanager
    def sampling(self, name: str, pid: int) -> Iterator[None]:
        """Sample a process until the block ends."""
        ended, samples = threading.Event(), self.samples.setdefault(name, [])

        def sample() -> None:
            while not ended.wait(_EVERY_SECONDS):
                try:
                    samples.append((self.now(), resident_mib(pid), cpu_seconds(pid)))
                except (OSError, ValueError):  # it has ended
                    return

        thread = threading.Thread(target=sample, name=f"sampling of {name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=10)
