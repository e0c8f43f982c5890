"""How a cost grows with the number of pipelines; pure functions."""

import math
from collections.abc import Mapping


def exponent(costs: Mapping[int, float]) -> float | None:
    """Return b of the best `cost = a * size ** b` (least squares of the logarithms); None for fewer than two sizes.

    1 means that twice as many cost twice as much, 2 that they cost four times as much. What costs nothing says
    nothing about growth and is left out.
    """
    points = [(math.log(size), math.log(cost)) for size, cost in costs.items() if size > 0 and cost > 0]
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004  a line takes two points
        return None
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    return round(float(covariance / variance), 2)
