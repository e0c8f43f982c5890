"""Write crds/ from the pydantic models, or check that it is up to date.

    python -m tools.generate_crds            write
    python -m tools.generate_crds --check    exit 1 and name the command when a file differs

pydantic describes a model in JSON Schema; the API server wants a structural schema. The difference is bridged
here: references inlined, nullable unions folded into optional fields, titles dropped, defaults only where they
matter.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.status import PipelineStatus

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "crds" / f"{constants.GROUP}_{constants.PLURAL}.yaml"
HEADER = "# Generated from the models in operator/ingestion_operator/api by `make crds`: do not edit.\n"
_KEPT = (
    "type", "format", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "minProperties", "maxProperties", "required", "anyOf",
)  # fmt: skip


def structural_schema(model: type[PipelineSpec] | type[PipelineStatus]) -> dict[str, Any]:
    """Return the model's schema in the form that CustomResourceDefinitions take."""
    document = model.model_json_schema(by_alias=True)
    return _convert(document, document.get("$defs", {}))


def _convert(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return _convert({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    if "x-kubernetes-int-or-string" not in node and "anyOf" in node:
        (branch,) = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        return _convert({**branch, **rest}, definitions)

    schema = {key: node[key] for key in _KEPT if key in node}
    schema |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    if "const" in node:
        schema["enum"] = [node["const"]]
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "items" in node:
        schema["items"] = _convert(node["items"], definitions)
    if "properties" in node:
        schema["properties"] = {name: _convert(child, definitions) for name, child in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _convert(node["additionalProperties"], definitions)
    if (default := _default(node.get("default"), schema)) is not None:
        schema["default"] = default
    return schema


def _default(value: Any, schema: dict[str, Any]) -> Any:
    """Return the default to declare, or None for one that an absent field means as well."""
    if "properties" in schema:
        # Spelled out: the API server checks a default against the rules before it fills in what lies deeper.
        leaves = {name: child["default"] for name, child in schema["properties"].items() if "default" in child}
        return leaves or None if value is not None else None
    return None if value in (None, [], {}) else value


class _PlainDumper(yaml.SafeDumper):
    """Writes repeated parts out: anchors are legal YAML that people do not read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the signature is PyYAML's
        return True


def custom_resource_definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition of IngestionPipeline."""
    ready = '.status.conditions[?(@.type=="Ready")]'
    columns = [
        ("Schedule", "string", ".spec.schedule.cron", 0),
        ("Suspended", "boolean", ".spec.suspend", 0),
        ("Ready", "string", f"{ready}.status", 0),
        ("Last-Run", "date", ".status.runs[0].startTime", 0),
        ("Last-State", "string", ".status.runs[0].state", 0),
        ("Age", "date", ".metadata.creationTimestamp", 0),
        ("Type", "string", ".spec.pipelineType", 1),
        ("Next", "string", ".status.nextScheduleTime", 1),
        ("Reason", "string", f"{ready}.reason", 1),
        (constants.COLUMN_FULL_NAME, "string", ".spec.fullyQualifiedName", 1),
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{constants.PLURAL}.{constants.GROUP}"},
        "spec": {
            "group": constants.GROUP,
            "names": {
                "kind": constants.KIND,
                "listKind": f"{constants.KIND}List",
                "plural": constants.PLURAL,
                "singular": constants.SINGULAR,
                "shortNames": [constants.SHORT_NAME],
                "categories": [constants.CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": constants.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in columns
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": "An ingestion pipeline of OpenMetadata, run by Kubernetes.",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": structural_schema(PipelineSpec),
                                "status": structural_schema(PipelineStatus),
                            },
                        }
                    },
                }
            ],
        },
    }


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a file is out of date")
    arguments = parser.parse_args()
    text = HEADER + yaml.dump(
        custom_resource_definition(), Dumper=_PlainDumper, sort_keys=False, width=110, allow_unicode=True
    )
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    if arguments.check:
        print(f"{TARGET.relative_to(ROOT)} does not match the models: run `make crds` and commit the result")
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
