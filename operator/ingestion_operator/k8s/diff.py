"""Comparison of desired objects with live ones; pure functions."""

import hashlib
import json
from typing import Any, Final

from ingestion_operator.k8s.quantities import same_quantity

_QUANTITY_FIELDS: Final = frozenset({"requests", "limits", "sizeLimit"})
_ABSENT_IS_FALSE: Final = frozenset({"readOnly"})
"""Booleans that the API server omits when they are false. Of other fields an absent one means its default."""


def fingerprint(desired: dict[str, Any]) -> str:
    """Return a short hash of an object, independent of the order of its keys."""
    text = json.dumps(desired, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def contains(live: Any, desired: Any, *, quantities: bool = False) -> bool:
    """Return whether a live object has every desired field with the desired value.

    The API server adds defaults, omits empty values and rewrites quantities (1000m becomes 1). None of these is a
    difference. Lists must have the same length and are compared item by item.
    """
    if isinstance(desired, dict):
        return (
            not desired
            if live is None
            else isinstance(live, dict)
            and all(
                contains(live.get(key), value, quantities=quantities or key in _QUANTITY_FIELDS)
                or (value is False and key in _ABSENT_IS_FALSE and key not in live)
                for key, value in desired.items()
            )
        )
    if isinstance(desired, list):
        return (
            not desired
            if live is None
            else isinstance(live, list)
            and len(live) == len(desired)
            and all(contains(*pair, quantities=quantities) for pair in zip(live, desired, strict=True))
        )
    if live is None:
        return desired is None or desired == ""
    return same_quantity(live, desired) if quantities else bool(live == desired)
