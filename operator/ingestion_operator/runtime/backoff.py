"""Exponential back-off with jitter."""

import random
from dataclasses import dataclass
from typing import Final

_MAX_EXPONENT: Final = 60
"""Larger exponents only risk an overflow."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds that double with each failure in a row, from `first` up to `last`.

    Each delay is shortened at random by up to its share `jitter`, so that callers that failed together do not retry
    together. With a `jitter` of 0 the delays are exact.
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
        """Return the seconds to wait after `failures` failures in a row, at least one."""
        full = min(self.last, self.first * 2.0 ** min(failures - 1, _MAX_EXPONENT))
        return full * spread(1 - self.jitter, 1)


def spread(low: float, high: float) -> float:
    """Return a random number between `low` and `high`, to spread events in time. Not for security."""
    return random.uniform(low, high)  # noqa: S311
