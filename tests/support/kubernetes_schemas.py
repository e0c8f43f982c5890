"""What an API server accepts, as JSON Schema files for kubeconform, from the server's own description."""

import json
from pathlib import Path
from typing import Any

from tests.cluster.handle import Cluster

_KIND = "x-kubernetes-group-version-kind"


def write_schemas(cluster: Cluster, folder: Path) -> str:
    """Write a file per kind; return the template of their paths, as kubeconform's -schema-location takes it."""
    document = json.loads(cluster.kubectl("get", "--raw", "/openapi/v2"))
    definitions = {name: _closed(node) for name, node in document["definitions"].items()}
    (folder / "definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, node in definitions.items():
        for kind in node.get(_KIND, []):
            # kubeconform takes the first word of apiVersion for the group, also where there is none.
            group = kind["group"] or kind["version"]
            path = folder / f"{kind['kind']}-{group}-{kind['version']}.json".lower()
            reference = f"file://{folder}/definitions.json#/definitions/{name}"
            properties = {"apiVersion": {"const": f"{kind['group']}/{kind['version']}".removeprefix("/")}}
            path.write_text(json.dumps({"allOf": [{"$ref": reference}, {"properties": properties}]}))
    return f"{folder}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json"


def _closed(node: Any) -> Any:
    """Return a schema that refuses unknown fields, in words that JSON Schema knows."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    if node.get("type") == "string" and "Quantity" in node.get("description", "")[:40]:
        return {"type": ["number", "string"]}
    closed = {key: _closed(child) for key, child in node.items() if key not in ("format", "default")}
    if isinstance(node.get("properties"), dict):
        closed["properties"] = {name: _closed(child) for name, child in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in node:
            closed["additionalProperties"] = False
    return closed
