"""The generated CustomResourceDefinition: up to date, structural, and with the same names as the code."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ingestion_operator.api.pipeline import PipelineSpec
from testing.corpus import Case, accepted, refused, schema
from tools.generate_crds import custom_resource_definition

ROOT = Path(__file__).parents[3]
CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]


def _nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for below in ("items", "additionalProperties"):
        if isinstance(node.get(below), dict):
            yield from _nodes(node[below], f"{path}[]")


NODES = dict(_nodes(VERSION["schema"]["openAPIV3Schema"]))


def test_the_committed_crd_is_the_generated_one() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "tools.generate_crds", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_node_has_a_type_or_is_a_quantity() -> None:
    untyped = [path for path, node in NODES.items() if "type" not in node and "x-kubernetes-int-or-string" not in node]
    assert untyped == []


def test_only_the_source_config_is_free_form() -> None:
    free = [path for path, node in NODES.items() if "x-kubernetes-preserve-unknown-fields" in node]
    assert free == [".spec.sourceConfig.config"]


def test_the_schema_is_structural() -> None:
    forbidden = {
        "$ref",
        "$defs",
        "title",
        "const",
        "oneOf",
        "allOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "nullable",
    }
    assert {path: node.keys() & forbidden for path, node in NODES.items() if node.keys() & forbidden} == {}
    assert all("anyOf" not in node or "x-kubernetes-int-or-string" in node for node in NODES.values())


def test_every_text_list_and_map_of_the_spec_has_a_bound() -> None:
    unbounded = [
        path
        for path, node in NODES.items()
        if path.startswith(".spec") and not path.startswith(".spec.sourceConfig.config")
        and (
            (node.get("type") == "string" and not node.keys() & {"maxLength", "enum"})
            or (node.get("type") == "array" and "maxItems" not in node)
            or ("additionalProperties" in node and "maxProperties" not in node)
        )
    ]  # fmt: skip
    assert unbounded == []


def test_no_default_contradicts_the_schema_it_stands_in() -> None:
    for node in NODES.values():
        if "default" in node:
            jsonschema.Draft7Validator(node).validate(node["default"])


def test_every_rule_has_a_message_and_a_case_in_the_corpus() -> None:
    said = {case.fix for case in refused()}
    for path, node in NODES.items():
        for rule in node.get("x-kubernetes-validations", []):
            assert any(fix in rule["message"] for fix in said if " " in fix), f"{path}: no bad object for {rule}"


@pytest.mark.parametrize("case", accepted(), ids=str)
def test_the_schema_alone_accepts(case: Case) -> None:
    body = PipelineSpec.model_validate(case.spec).model_dump(by_alias=True, exclude_none=True, mode="json")
    jsonschema.Draft7Validator(schema()).validate(body)


def test_columns_point_at_fields_that_exist() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]").replace("[0]", "[]")
        assert path in NODES or path.startswith(".metadata."), column["name"]
    assert [c["name"] for c in VERSION["additionalPrinterColumns"] if c["priority"] == 0] == [
        "Schedule", "Suspended", "Ready", "Last-Run", "Last-State", "Age",
    ]  # fmt: skip


def test_a_stale_crd_is_reported_with_its_fix(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, tools.generate_crds as g;"
        f"g.ROOT = pathlib.Path({str(tmp_path)!r}); g.TARGET = g.ROOT / 'crds' / 'x.yaml';"
        "sys.argv = ['x', '--check']; sys.exit(g.main())"
    )
    check = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "run `make crds`" in check.stdout
    assert not (tmp_path / "crds").exists()
