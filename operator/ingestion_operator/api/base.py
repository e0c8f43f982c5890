"""The base of all models of the custom resource: camelCase names in JSON, immutable objects, rules for the CRD."""

from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel, to_snake


class KubernetesModel(BaseModel):
    """A part of the custom resource.

    Unknown fields are ignored, as the API server prunes them, so an operator of an older version reads objects of a
    newer one. Types are strict, as in the API server: the text "true" is not a boolean.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        strict=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        # In the API server a null counts as an absent field; an empty YAML key is a null.
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


def cel(rule: str, message: str, field_path: str | None = None, *, text: bool = False) -> dict[str, Any]:
    """Return one entry of x-kubernetes-validations.

    Args:
        rule: The CEL expression.
        message: The error message, with a fix.
        field_path: The field in the error, such as .cron; default: the field that has the rule.
        text: Whether that field is a text, whose value the API server then adds to the message. For other types the
            conversion alone exceeds the cost limit of the API server.
    """
    entry = {"rule": rule, "message": message}
    if field_path is not None:
        entry["fieldPath"] = field_path
    if text:
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        entry["messageExpression"] = f'"{quoted}, not \'" + self{field_path or ""} + "\'"'
    return entry


def cel_list(values: tuple[str, ...]) -> str:
    """Return texts as a CEL list."""
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def rules(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return `json_schema_extra` that adds CEL rules to the CRD."""
    return {"x-kubernetes-validations": list(entries)}


def keyed_by(key: str) -> dict[str, Any]:
    """Return `json_schema_extra` of a list whose items are identified by `key`: the API server rejects duplicates."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def unique(key: str) -> AfterValidator:
    """Return the validator for the same rule as `keyed_by`."""

    def check(items: list[Any]) -> list[Any]:
        values = [getattr(item, to_snake(key)) for item in items]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"{key} {', '.join(twice)} appears more than once: remove or rename one")
        return items

    return AfterValidator(check)
