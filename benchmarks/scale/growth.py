"""How a cost grows with the number of pipelines; pure functions."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

SUPER_LINEAR: Final = 1.1
"""An exponent above it is more than measurements are off."""

_PER_PIPELINE: Final = ("_per_pipeline", "_per_finished_run")
"""Ends of the names of figures of which there are as many as pipelines."""


def exponent(costs: Mapping[int, float]) -> float | None:
    """Return b of the best `cost = a * size ** b` (least squares of the logarithms); None for fewer than two sizes.

    1 means that twice as many cost twice as much, 2 that they cost four times as much. A cost of zero shows
    no growth and is left out.
    """
    points = [(math.log(size), math.log(cost)) for size, cost in costs.items() if size > 0 and cost > 0]
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004  a line takes two points
        return None
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    return round(float(covariance / variance), 2)


def exponents(figures: Mapping[int, Mapping[str, float]], names: Iterable[str]) -> dict[str, float]:
    """Return the exponent of each of the named figures, by name; what was measured for one size only has none.

    A figure for each pipeline is taken for all of them together, so that 1 is linear for it too.
    """
    found = {}
    for name in names:
        costs = {size: each[name] for size, each in figures.items() if name in each and math.isfinite(each[name])}
        if name.endswith(_PER_PIPELINE):
            costs = {size: size * cost for size, cost in costs.items()}
        if (grows := exponent(costs)) is not None:
            found[name] = grows
    return found


def super_linear(grows: Mapping[str, float]) -> list[str]:
    """Return the names of what grows faster than the number of pipelines."""
    return [name for name, value in grows.items() if value > SUPER_LINEAR]
