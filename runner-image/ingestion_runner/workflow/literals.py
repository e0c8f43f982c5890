"""Values in a notation that YAML reads back exactly."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Undefined

# JSON allows these characters in a string; YAML rejects them or treats them as line breaks.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def literal(value: Any) -> str:
    """Return ``value`` as JSON in one line that is also valid YAML 1.1.

    Raises:
        TypeError, ValueError: JSON cannot represent the value.
        jinja2.UndefinedError: A template uses an undefined name.
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
    # In YAML 1.1 an exponent needs a decimal point and a sign: 1e+16 would be a string.
    mantissa, exponent, power = text.partition("e")
    if exponent and "." not in mantissa:
        return f"{mantissa}.0e{power}"
    return text
