"""Comparing what is wanted with what is there."""

import hashlib
import json
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final

_SUFFIXES: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("0.001"),
    "k": Decimal(1000), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_QUANTITY_FIELDS: Final = frozenset({"requests", "limits", "sizeLimit"})
_ABSENT_IS_FALSE: Final = frozenset({"readOnly"})
"""Booleans that the API server leaves out when they are false; elsewhere absent means its default, often true."""
_SMALLEST: Final = Decimal("0.001")
"""The API server rounds CPU, memory and the like up to this."""
LARGEST_QUANTITY: Final = Decimal(2**63 - 1)
"""The API server cuts every quantity down to this."""


def fingerprint(desired: dict[str, Any]) -> str:
    """Return a short hash of an object; the order of keys does not matter."""
    text = json.dumps(desired, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def contains(live: Any, desired: Any, *, quantities: bool = False) -> bool:
    """Tell whether a live object has every field that is desired, with that value.

    The API server adds defaults, leaves out what is empty and rewrites quantities (1000m becomes 1); none of
    these is a difference. Lists must have the same length, item by item.
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


def same_quantity(one: Any, other: Any) -> bool:
    """Tell whether the API server stores two quantities such as 1000m and 1 as the same amount.

    What is no quantity, such as a label that happens to be called `limits`, is compared as it is.
    """
    if one == other:
        return True
    try:
        return _stored(str(one)) == _stored(str(other))
    except ValueError:
        return False


def _stored(text: str) -> Decimal:
    return min(parse_quantity(text), LARGEST_QUANTITY).quantize(_SMALLEST, ROUND_CEILING)


def parse_quantity(text: str) -> Decimal:
    """Return the amount that a quantity such as 500m or 4Gi stands for. Raises ValueError for another shape."""
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number) :]
    try:
        amount = Decimal(number) * (_SUFFIXES[suffix] if suffix else 1)
    except (InvalidOperation, KeyError) as error:
        raise ValueError(f"{text!r} is no quantity") from error
    if not amount.is_finite():
        raise ValueError(f"{text!r} is no quantity")
    return amount
