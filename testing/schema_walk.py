"""A structural schema beside a good value: its nodes, and what would break each of their constraints; pure."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from testing.objects import Body

Path = tuple[str | int, ...]


def nodes(node: Body, value: Any, path: Path = ()) -> Iterator[tuple[Path, Body]]:
    """Every node of the schema that a value reaches, with the path to it."""
    yield path, node
    if isinstance(value, dict):
        for key, child in value.items():
            below = node.get("properties", {}).get(key) or node.get("additionalProperties")
            if below is not None:
                yield from nodes(below, child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from nodes(node["items"], child, (*path, index))


def violations(node: Body, value: Any) -> Iterator[tuple[str, Any, str]]:  # noqa: C901  one branch per keyword
    """What breaks one constraint of a node: its name, a bad value, the text of the API server's refusal."""
    kind = node.get("type", "")
    quantity = "x-kubernetes-int-or-string" in node
    if quantity:
        yield "a wrong type", True, "must be of type integer,string"
    elif kind:
        expected = node.get("format", kind)
        yield "a wrong type", 7 if kind in ("string", "array", "object") else "7", f"must be of type {expected}"
    if "enum" in node:
        yield "an unknown value", "NoSuchValue", f'supported values: "{node["enum"][0]}"'
    if "minimum" in node:
        yield "too small", node["minimum"] - 1, f"should be greater than or equal to {node['minimum']}"
    if "maximum" in node:
        yield "too large", node["maximum"] + 1, f"should be less than or equal to {node['maximum']}"
    if isinstance(value, str):
        yield from _bad_texts(node, value)
    if isinstance(value, list):
        if "minItems" in node:
            yield "no item", [], "should have at least 1 items"
        if "maxItems" in node:
            yield "too many items", value * (node["maxItems"] + 1), f"must have at most {node['maxItems']} items"
    if isinstance(value, dict):
        yield from _bad_objects(node, value)


def _bad_texts(node: Body, value: str) -> Iterator[tuple[str, Any, str]]:
    pattern = node.get("pattern", "")
    if "minLength" in node:
        yield "empty", "", "should be at least 1 chars long"
    if pattern:
        bad = next(text for text in ("!\n", "!") if len(text) <= node.get("maxLength", 99))
        yield "another shape", bad, "should match '^"
        if not re.fullmatch(pattern, f"{value}\n".replace("\n", "\n\n")):
            yield "a line break at the end", f"{value}\n", "should match '^"
    if "maxLength" in node:
        long = value[:1] * (node["maxLength"] + 1 - len(value)) + value
        if re.fullmatch(pattern or ".*", long, re.DOTALL):
            yield "too long", long, f"may not be more than {node['maxLength']}"


def _bad_objects(node: Body, value: Body) -> Iterator[tuple[str, Any, str]]:
    for key in node.get("required", []):
        yield f"no {key}", {k: v for k, v in value.items() if k != key}, f"{key}: Required value"
    if "maxProperties" in node:
        example = next(iter(value.values()))
        many = {f"key-{number}": example for number in range(node["maxProperties"] + 1)}
        yield "too many entries", many, f"must have at most {node['maxProperties']} items"
    if "properties" in node:
        yield "an unknown field", {**value, "noSuchField": "x"}, "unknown field"


def value_at(body: Any, path: Path) -> Any:
    """What stands at a path."""
    for part in path:
        body = body[part]
    return body


def replaced(base: Body, path: Path, value: Any) -> Body:
    """A copy with something else at a path."""
    if not path:
        return deepcopy(value)
    body = deepcopy(base)
    value_at(body, path[:-1])[path[-1]] = value
    return body
