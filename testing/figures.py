"""From samples to figures; pure functions."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from testing.text_table import aligned

SHARES: Final = {"p50": 0.5, "p99": 0.99}
FIRST_KEYS: Final = ("deploy_p50_ms", "deploy_p99_ms", "deploy_to_trigger_p99_ms")
"""What the last line begins with; `errors` comes next."""

Samples = Mapping[int, Mapping[str, Sequence[float]]]
"""Milliseconds of each call, by the number of existing pipelines and by what was measured."""


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least `share` of them (0 < share <= 1) do not exceed."""
    if not samples:
        raise ValueError("no samples")
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


def figures(samples: Samples) -> dict[str, dict[str, float]]:
    """Return p50 and p99 of everything measured, by names such as `deploy_p99_ms`, then by size, in milliseconds."""
    measured = dict.fromkeys(name for sizes in samples.values() for name in sizes)
    return {
        f"{name}_{label}_ms": {
            str(size): round(percentile(found[name], share), 1) for size, found in samples.items() if found.get(name)
        }
        for name in measured
        for label, share in SHARES.items()
    }


def last_line(found: Mapping[str, Mapping[str, float]], errors: int) -> str:
    """Return the result as one JSON object, its promised keys first."""
    first: dict[str, Any] = {key: found.get(key, {}) for key in FIRST_KEYS}
    return json.dumps({**first, "errors": errors, **{key: value for key, value in found.items() if key not in first}})


def table(found: Mapping[str, Mapping[str, float]], sizes: Sequence[int]) -> str:
    """Return the figures as lines for people: a row for each thing measured, a column for each size."""
    head = ["milliseconds, with this many pipelines", *(f"{size:,}" for size in sizes)]
    rows = [
        [key.removesuffix("_ms").replace("_", " "), *(f"{values.get(str(size), math.nan):.1f}" for size in sizes)]
        for key, values in found.items()
    ]
    return "\n".join(aligned([head, *rows]))
