"""Whether what a process takes stays as it is; pure."""

from collections.abc import Mapping, Sequence
from typing import Final

Lives = dict[int, list[tuple[float, float]]]
"""Samples (seconds, value) of a process by its life: it is ended and started again meanwhile."""

WARM_UP_SECONDS: Final = 900.0
"""The beginning of each life does not count: pools fill, and memory grows to what the most answers that come together
take, of which a thread for each may. Ever larger ones come ever more rarely."""

LEAST_SECONDS: Final = 300.0
"""Less than that, beyond the warm-up, shows no growth."""


def warm(lives: Mapping[int, Sequence[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Return the samples of each life without its warm-up."""
    kept = ([(at, value) for at, value in life if at - life[0][0] >= WARM_UP_SECONDS] for life in lives.values())
    return [life for life in kept if len(life) > 1]


def seconds(lives: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return how long all lives took together."""
    return sum(life[-1][0] - life[0][0] for life in lives)


def growth_per_hour(lives: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return the slope that all lives have in common (least squares); each may begin where it likes."""
    covariance = variance = 0.0
    for life in lives:
        mean_at, mean_value = (sum(axis) / len(life) for axis in zip(*life, strict=True))
        covariance += sum((at - mean_at) * (value - mean_value) for at, value in life)
        variance += sum((at - mean_at) ** 2 for at, _ in life)
    return 3600 * covariance / variance if variance else 0.0


def peak(lives: Mapping[int, Sequence[tuple[float, float]]]) -> float:
    """Return the largest value of all."""
    return max((value for life in lives.values() for _, value in life), default=0.0)
