"""Scalar types of the custom resource, with the schemas that the API server enforces."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from ingestion_operator.api.base import cel, rules
from ingestion_operator.k8s.schedule import DURATION_PATTERN, SECONDS_PER_UNIT, duration_seconds
from ingestion_operator.k8s.timestamps import format_timestamp

QUANTITY_PATTERN: Final = r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?"
_QUANTITY_LENGTH: Final = 32
_TIMESTAMP_PATTERN: Final = (
    r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)


def _parse_quantity(value: Any) -> Any:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and (len(text) > _QUANTITY_LENGTH or not re.fullmatch(QUANTITY_PATTERN, text)):
        raise ValueError(f"{text!r} is not a quantity: use e.g. 500m, 2 or 4Gi")
    return text


def _parse_timestamp(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.fullmatch(_TIMESTAMP_PATTERN, value):
        raise ValueError(f"{value!r} is not a point in time: use e.g. 2026-01-31T02:00:00Z")
    moment = datetime.fromisoformat(value)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the last hours of the year 9999 in time zones west of UTC
        return datetime.max.replace(microsecond=0, tzinfo=UTC)


def _zero_as_text(value: Any) -> Any:
    return "0" if isinstance(value, int) and not isinstance(value, bool) and value == 0 else value


def cel_seconds(duration: str) -> str:
    """Return a CEL expression for the seconds of a duration; `duration` is the expression of its text."""
    units = "{" + ", ".join(f"'{unit}': {seconds}" for unit, seconds in SECONDS_PER_UNIT.items()) + "}"
    last = f"{duration}.size() - 1"
    return f"int({duration}.substring(0, {last})) * {units}[{duration}.substring({last})]"


@dataclass(frozen=True)
class AtMost:
    """The upper bound of a duration, for the model and as CEL for the API server."""

    limit: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = f"{cel_seconds('self')} <= {duration_seconds(self.limit)}"
        return handler(schema) | rules(cel(rule, self._message, text=True))

    @property
    def _message(self) -> str:
        return f"must be at most {self.limit}"

    def _check(self, text: str) -> str:
        if text != "0" and duration_seconds(text) > duration_seconds(self.limit):
            raise ValueError(self._message)
        return text


Quantity = Annotated[
    str,
    BeforeValidator(_parse_quantity),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": f"^{QUANTITY_PATTERN}$",
            "maxLength": _QUANTITY_LENGTH,
            "minimum": 0,
        }
    ),
]
Timestamp = Annotated[
    datetime,
    BeforeValidator(_parse_timestamp),
    PlainSerializer(format_timestamp, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_TIMESTAMP_PATTERN}$", "maxLength": 40}),
]
_DurationText = Annotated[str, StringConstraints(pattern=rf"^{DURATION_PATTERN}$", max_length=7)]
LONGEST_DURATION: Final = "365d"
Duration = Annotated[_DurationText, AtMost(LONGEST_DURATION)]
"""Kubernetes stores seconds in 32 bits, which are 24,855 days. No duration here needs more than a year."""
DurationOrZero = Annotated[
    str,
    BeforeValidator(_zero_as_text),
    StringConstraints(pattern=rf"^(0|{DURATION_PATTERN})$", max_length=7),
    AtMost(LONGEST_DURATION),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^(0|{DURATION_PATTERN})$", "maxLength": 7},
                {"type": "integer", "minimum": 0, "maximum": 0},
            ]
        }
    ),
]
"""A duration, or 0 for none, which is a number in YAML."""
Retention = Annotated[_DurationText, AtMost("3650d")]
"""A retention time of up to ten years. More than about 2,000 years would exceed the range of dates."""
DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
DnsSubdomain = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
DataKey = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", min_length=1, max_length=256)]
LabelKey = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$", max_length=317),
]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$", max_length=63)
]
Text = Annotated[str, Field(max_length=4096)]
