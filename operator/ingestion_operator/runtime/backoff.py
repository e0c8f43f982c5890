"""Exponential back-off with jitter."""

import random
from dataclasses import dataclass
from typing import Final

_LARGEST_EXPONENT: Final = 60
"""Beyond it a power of two only grows towards an overflow."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds the fake OpenMetadata server with each failure in a row: from `first` up to `last`.

    Each is shortened at random by up to the share `jitter` of it, so that what failed together is not retried together.
    With `last` equal to `first` all delays are alike but for the jitter.
    """

    first: float
    last: float
    jitter: float = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for bounds that no delay can satisfy."""
        if not 0 < self.first <= self.last:
            raise ValueError(f"first is {self.first} and last {self.last}: 0 < first <= last must hold")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter}: it is a share of the delay, 0 <= jitter < 1")

    def delay(self, failures: int) -> float:
        """Return how long to wait after that many failures in a row, at least one."""
        full = min(self.last, self.first * 2.0 ** min(failures - 1, _LARGEST_EXPONENT))
        return full * random.uniform(1 - self.jitter, 1)  # noqa: S311  jitter
