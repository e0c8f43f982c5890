"""What all models of the custom resource share: camelCase on the wire, frozen in memory, rules for the CRD."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class KubernetesModel(BaseModel):
    """A part of the custom resource.

    Unknown fields are ignored, as the API server prunes them: an operator that was rolled back still reads
    objects of a newer version.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )


def cel(rule: str, message: str, field_path: str | None = None) -> dict[str, Any]:
    """Return one entry of x-kubernetes-validations; `message` must name the fix."""
    entry = {"rule": rule, "message": message}
    if field_path is not None:
        entry["fieldPath"] = field_path
    return entry


def rules(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return `json_schema_extra` that carries CEL rules into the CRD."""
    return {"x-kubernetes-validations": list(entries)}
