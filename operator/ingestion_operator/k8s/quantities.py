"""Kubernetes' quantities, such as 500m or 4Gi; pure functions."""

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final

_UNITS: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("0.001"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
"""Suffixes, each with its factor."""

_SMALLEST: Final = Decimal("0.001")
"""The API server rounds amounts up to a multiple of this."""

LARGEST_QUANTITY: Final = Decimal(2**63 - 1)
"""The API server reduces larger amounts to this."""


def parse_quantity(text: str) -> Decimal:
    """Return the amount of a quantity such as 500m or 4Gi. Raises ValueError for any other text."""
    number = text.rstrip("numkKMGTPEi")
    try:
        amount = Decimal(number) * _UNITS[text[len(number) :]]
    except (InvalidOperation, KeyError) as error:
        raise ValueError(f"{text!r} is not a quantity") from error
    if not amount.is_finite():
        raise ValueError(f"{text!r} is not a quantity")
    return amount


def is_quantity(text: str) -> bool:
    """Return whether `text` is a quantity."""
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def same_quantity(one: Any, other: Any) -> bool:
    """Return whether the API server stores two quantities such as 1000m and 1 as the same amount.

    Values that are not quantities, such as those of a label named `limits`, are compared as they are.
    """
    if one == other:
        return True
    try:
        return _stored(str(one)) == _stored(str(other))
    except ValueError:
        return False


def is_less(one: str, other: str) -> bool:
    """Return whether the first of two quantities is the smaller one."""
    return parse_quantity(one) < parse_quantity(other)


def format_bytes(amount: Decimal) -> str:
    """Return the shortest exact quantity of a whole number of bytes, as Kubernetes writes it."""
    texts = [
        f"{int(amount / unit)}{suffix}" for suffix, unit in reversed(_UNITS.items()) if unit >= 1 and not amount % unit
    ]
    return min(texts, key=len)  # of several the first: with a binary suffix


def _stored(text: str) -> Decimal:
    return min(parse_quantity(text), LARGEST_QUANTITY).quantize(_SMALLEST, ROUND_CEILING)
