"""Values written so that YAML reads back exactly what was put in."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Undefined

# JSON allows these inside a string as they are; YAML rejects them or takes them for line breaks.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def literal(value: Any) -> str:
    """``value`` as JSON on one line that is YAML 1.1 at the same time.

    Raises
    ------
    TypeError, ValueError
        JSON has no such value.
    jinja2.UndefinedError
        A template named something that it was not given.
    """
    if isinstance(value, Undefined):
        return str(value)
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(str(key))}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return json.dumps(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"JSON has no {value}")
    text = repr(value)
    # YAML 1.1 takes an exponent for one only behind a decimal point and with a sign: 1e+16 would be a string.
    mantissa, exponent, power = text.partition("e")
    if exponent and "." not in mantissa:
        return f"{mantissa}.0e{power}"
    return text
