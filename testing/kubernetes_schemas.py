"""What an API server accepts, as JSON Schema files for kubeconform: a running server's, and those of releases."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from testcluster.commands import run
from testcluster.handle import Cluster
from testing.helm import program

Definitions = dict[str, Any]
"""Schemas by name, which refuse unknown fields; those of kinds have `x-kubernetes-group-version-kind`."""

_KIND = "x-kubernetes-group-version-kind"
_REFERENCE = re.compile(r'"#/definitions/([^"]+)"')
_OF_PROMETHEUS = "ServiceMonitor,PrometheusRule"
"""Kinds of the Prometheus operator, which no API server knows by itself."""


def of_server(cluster: Cluster) -> Definitions:
    """The running server's own description."""
    document = json.loads(cluster.kubectl("get", "--raw", "/openapi/v2"))
    return {name: _closed(node) for name, node in document["definitions"].items()}


def of_release(minor: int) -> Definitions:
    """Those of Kubernetes 1.`minor`.0, from the package kubernetes-validate. Raises FileNotFoundError without them."""
    package = find_spec("kubernetes_validate")
    assert package is not None
    assert package.origin is not None
    release = f"v1.{minor}.0-local-strict"
    text = (Path(package.origin).parent / "kubernetes-json-schema" / release / "_definitions.json").read_text()
    return dict(json.loads(text.replace("#/$defs/", "#/definitions/"))["$defs"])


def write_schemas(definitions: Definitions, folder: Path) -> str:
    """Write a file per kind; return the template of their paths, as kubeconform's -schema-location takes it."""
    uses = {name: set(_REFERENCE.findall(json.dumps(node))) for name, node in definitions.items()}
    for name, node in definitions.items():
        for kind in node.get(_KIND, []):
            # kubeconform takes the first word of apiVersion for the group, also where there is none.
            group = kind["group"] or kind["version"]
            path = folder / f"{kind['kind']}-{group}-{kind['version']}.json".lower()
            schema = {
                "allOf": [
                    {"$ref": f"#/definitions/{name}"},
                    {"properties": {"apiVersion": {"const": f"{kind['group']}/{kind['version']}".removeprefix("/")}}},
                ],
                # Only what the kind is made of: kubeconform reads and checks all of it for each kind that it meets.
                "definitions": {used: definitions[used] for used in _reached(uses, name)},
            }
            path.write_text(json.dumps(schema))
    return f"{folder}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json"


def _reached(uses: dict[str, set[str]], name: str) -> set[str]:
    """The definition and those that it leads to."""
    reached: set[str] = set()
    ahead = {name}
    while ahead:
        reached |= ahead
        ahead = {used for one in ahead for used in uses[one]} - reached
    return reached


def conform(location: str, text: str) -> None:
    """Raise CommandError with what does not conform, or has no schema at that location."""
    words = ["-schema-location", location, "-skip", _OF_PROMETHEUS, "-output", "text"]
    run([program("kubeconform"), *words, "-"], stdin=text)


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
