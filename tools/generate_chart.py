"""Write what the chart has from elsewhere, or check that it is up to date.

    python -m tools.generate_chart            write
    python -m tools.generate_chart --check    exit 1 and name the command when a file differs

values.schema.json and the table in README.md come from the comments of values.yaml, the schema of `settings` from the
model that reads them, files/crds/ from crds/. A comment stands directly above its key. In it, `@schema {…}` adds to
the schema that the default gives, and `@settings a.b` takes the schema of a field of the operator's settings.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ingestion_operator.api.settings import Settings
from testing.markdown_section import MarkdownSection
from tools.generate_crds import TARGET as CRD

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "ingestion-operator"
_TABLE = MarkdownSection(CHART / "README.md", "<!-- values: begin -->\n", "<!-- values: end -->\n")
_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}

RULES: list[dict[str, Any]] = [
    {
        "if": {"properties": {"watch": {"properties": {"scope": {"const": "namespaces"}}}}},
        "then": {"properties": {"watch": {"properties": {"namespaces": {"minItems": 1}}}}},
    },
    {
        "if": {"properties": {"watch": {"properties": {"scope": {"const": "namespace"}}}}},
        "then": {"properties": {"watch": {"properties": {"namespaces": {"maxItems": 0}}}}},
    },
    {
        "if": {"properties": {"logArchive": {"properties": {"type": {"const": "bucket"}}}}},
        "then": {"properties": {"logArchive": {"properties": {"bucket": {"properties": {"url": {"minLength": 1}}}}}}},
        "else": {"properties": {"logArchive": {"properties": {"bucket": {"properties": {"url": {"maxLength": 0}}}}}}},
    },
    {
        "if": {
            "properties": {
                "logArchive": {
                    "properties": {
                        "type": {"const": "volume"},
                        "volume": {"properties": {"accessMode": {"const": "ReadWriteOnce"}}},
                    }
                },
                "gateway": {"properties": {"enabled": {"const": True}}},
            }
        },
        "then": {"properties": {"gateway": {"properties": {"replicas": {"maximum": 1}}}}},
    },
    {
        "if": {
            "properties": {
                "logArchive": {
                    "properties": {
                        "type": {"const": "volume"},
                        "volume": {"properties": {"accessMode": {"const": "ReadWriteOnce"}}},
                    }
                },
            }
        },
        "then": {"properties": {"operator": {"properties": {"replicas": {"maximum": 1}}}}},
    },
]
"""What no single key can express: which values go together."""


@dataclass(frozen=True)
class Value:
    """A key of values.yaml."""

    path: tuple[str, ...]
    default: Any
    description: str
    schema: dict[str, Any]
    children: tuple["Value", ...] = ()


def read_values(text: str) -> tuple[Value, ...]:
    """Return the keys of a values.yaml. Raises ValueError for one that has no comment."""
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml has to be a mapping")
    return tuple(_read(root, yaml.safe_load(text), text.splitlines(), ()))


def _read(node: yaml.MappingNode, defaults: dict[str, Any], lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, value in node.value:
        here, default = (*path, key.value), defaults[key.value]
        description, schema, is_free = _comment(lines, key.start_mark.line)
        is_section = isinstance(value, yaml.MappingNode) and bool(value.value) and not is_free
        if not description and not is_section:
            raise ValueError(f"values.yaml: {'.'.join(here)} has no comment above it that describes it")
        children = tuple(_read(value, default, lines, here)) if is_section else ()
        yield Value(here, default, description, schema, children)


def _comment(lines: list[str], below: int) -> tuple[str, dict[str, Any], bool]:
    """Return description, schema, and whether the keys inside of the value are the user's own."""
    start = below
    while start > 0 and lines[start - 1].lstrip().startswith("# "):
        start -= 1
    description: list[str] = []
    schema: dict[str, Any] = {}
    for line in lines[start:below]:
        text = line.strip().removeprefix("# ")
        if text.startswith("@schema "):
            schema = yaml.safe_load(text.removeprefix("@schema "))
        elif text.startswith("@settings "):
            schema = _settings_field(text.removeprefix("@settings ").split("."))
        else:
            description.append(text)
    is_free = "additionalProperties" in schema or "$ref" in schema
    return " ".join(description), schema, is_free


def _settings_schema() -> dict[str, Any]:
    """Return the schema of the settings file, in which a misspelt field is an error as it is in the file."""
    document = Settings.model_json_schema(by_alias=True)
    return dict(_closed(document))


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    # Titles repeat the name, defaults are the model's own, and rules in CEL are the API server's to check.
    dropped = ("title", "default", "x-kubernetes-")
    kept = {key: _closed(child) for key, child in node.items() if not key.startswith(dropped)}
    if node.get("type") == "object" and "properties" in node:
        kept["properties"] = {name: _closed(child) for name, child in node["properties"].items()}
        kept["additionalProperties"] = False
    return kept


def _settings_field(path: list[str]) -> dict[str, Any]:
    document = _settings_schema()
    node = document
    for name in path:
        if "anyOf" in node:
            node = next(branch for branch in node["anyOf"] if "$ref" in branch)
        if "$ref" in node:
            node = document["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        node = node["properties"][name]
    return {key: value for key, value in node.items() if key != "description"}


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.description} if value.description else {}
    if value.children:
        return {
            **described,
            "type": "object",
            "properties": {child.path[-1]: _schema(child) for child in value.children},
            "additionalProperties": False,
            **value.schema,
        }
    if value.schema.keys() & {"$ref", "type", "anyOf"}:
        return {**described, **value.schema}
    return {**described, "type": _TYPES.get(type(value.default), "object"), **value.schema}


def values_schema(values: tuple[Value, ...]) -> str:
    """Return values.schema.json."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart ingestion-operator",
        "description": "Generated from values.yaml by `python -m tools.generate_chart`: do not edit.",
        "type": "object",
        # `global` is Helm's own: a parent chart hands it to all of its subcharts.
        "properties": {"global": {"type": "object"}, **{value.path[-1]: _schema(value) for value in values}},
        "additionalProperties": False,
        "allOf": RULES,
        "$defs": _settings_schema()["$defs"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def values_table(values: tuple[Value, ...]) -> str:
    """Return the table of all keys for a README."""
    rows = ["| value | default | what it is |", "|---|---|---|"]

    def add(value: Value) -> None:
        path = ".".join(value.path)
        if value.children:
            if value.description:
                rows.append(f"| **`{path}`** | | {value.description} |")
            for child in value.children:
                add(child)
        else:
            rows.append(f"| `{path}` | `{json.dumps(value.default, ensure_ascii=False)}` | {value.description} |")

    for value in values:
        add(value)
    return "\n".join(rows) + "\n"


def generated() -> dict[Path, str]:
    """Return the files and what they have to hold."""
    values = read_values((CHART / "values.yaml").read_text())
    return {
        CHART / "values.schema.json": values_schema(values),
        _TABLE.document: _TABLE.rewritten(values_table(values)),
        CHART / "files" / "crds" / CRD.name: CRD.read_text(),
    }


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a file is out of date")
    arguments = parser.parse_args()
    outdated = {path: text for path, text in generated().items() if not path.exists() or path.read_text() != text}
    for path, text in outdated.items():
        if arguments.check:
            print(
                f"{path.relative_to(ROOT)} is out of date: run `python -m tools.generate_chart` and commit the result"
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if outdated and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
