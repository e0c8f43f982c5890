"""What all models of the custom resource share: camelCase on the wire, frozen in memory, rules for the CRD."""

from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel, to_snake


class KubernetesModel(BaseModel):
    """A part of the custom resource.

    Unknown fields are ignored, as the API server prunes them: an operator that was rolled back still reads
    objects of a newer version. Strict about types, as the API server is: the text "true" is not a boolean.
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
        # The API server takes a null for an absent field, and so do people who leave a YAML key empty.
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


def cel(rule: str, message: str, field_path: str | None = None, *, text: bool = False) -> dict[str, Any]:
    """Return one entry of x-kubernetes-validations; `message` must name the fix.

    With a `field_path`, such as .cron, the API server names that field, else the one that has the rule; if it is a
    `text`, it adds the value to the message. (For other types the conversion alone would cost more than the API
    server allows.)
    """
    entry = {"rule": rule, "message": message}
    if field_path is not None:
        entry["fieldPath"] = field_path
    if text:
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        entry["messageExpression"] = f'"{quoted}, not \'" + self{field_path or ""} + "\'"'
    return entry


def cel_list(values: tuple[str, ...]) -> str:
    """Return texts as a list in CEL."""
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def rules(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return `json_schema_extra` that carries CEL rules into the CRD."""
    return {"x-kubernetes-validations": list(entries)}


def keyed_by(key: str) -> dict[str, Any]:
    """Return `json_schema_extra` of a list whose items `key` identifies: the API server refuses duplicates."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def unique(key: str) -> AfterValidator:
    """Return the validator that goes with `keyed_by`."""

    def check(items: list[Any]) -> list[Any]:
        values = [getattr(item, to_snake(key)) for item in items]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"{key} {', '.join(twice)} appears more than once: remove or rename one")
        return items

    return AfterValidator(check)
