"""What docs/operations/gitops.md gives to Argo CD and Flux: its health script, and values that the chart takes."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from lupa import lua51  # Argo CD's interpreter speaks Lua 5.1

from testcluster.locations import CHECKOUT
from testing.helm import template

BLOCKS: Final = [
    document
    for block in re.findall(r"```yaml\n(.*?)```", (CHECKOUT / "docs/operations/gitops.md").read_text(), re.DOTALL)
    for document in yaml.safe_load_all(block)
]


def health(pipeline: dict[str, Any]) -> tuple[str, str]:
    """Status and message that Argo CD would show for the pipeline."""
    (script,) = [text for block in BLOCKS for key, text in block.get("data", {}).items() if "health" in key]
    lua = lua51.LuaRuntime()
    found = lua.eval(f"function(obj) {script} end")(lua.table_from(pipeline, recursive=True))
    return found["status"], found["message"]


def pipeline(ready: str | None = "True", *, observed: int = 2, suspend: bool | None = None) -> dict[str, Any]:
    other = {"type": "Scheduled", "status": "False", "reason": "OnDemand", "message": "no schedule"}
    condition = {"type": "Ready", "status": ready, "reason": "SecretMissing", "message": "Secret bot is missing"}
    conditions = [other] if ready is None else [other, condition]
    return {
        "metadata": {"generation": 2},
        "spec": {} if suspend is None else {"suspend": suspend},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("found", "status", "message"),
    [
        ({"metadata": {"generation": 1}, "spec": {}}, "Progressing", "The operator has not reconciled it yet"),
        (pipeline(observed=1), "Progressing", "The operator has not reconciled the latest change yet"),
        (pipeline(None), "Progressing", "The operator has not reconciled it yet"),
        (pipeline(), "Healthy", "Secret bot is missing"),
        (pipeline(suspend=False), "Healthy", "Secret bot is missing"),
        (pipeline(suspend=True), "Suspended", "Secret bot is missing"),
        (pipeline("False"), "Degraded", "SecretMissing: Secret bot is missing"),
        (pipeline("False", suspend=True), "Degraded", "SecretMissing: Secret bot is missing"),
    ],
)
def test_argo_cd_shows_the_operators_status(found: dict[str, Any], status: str, message: str) -> None:
    assert health(found) == (status, message)


def test_the_chart_takes_the_values_of_both_examples(tmp_path: Path) -> None:
    releases = {block["kind"]: block["spec"] for block in BLOCKS if "kind" in block}
    argo = releases["Application"]["source"]["helm"]["valuesObject"]
    flux = releases["HelmRelease"]["values"]
    for values in (argo, flux):
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        images = {
            container["image"].rpartition(":")[0]
            for body in template("ingestion", "ingestion", "--values", str(file))
            if body["kind"] == "Deployment"
            for container in body["spec"]["template"]["spec"]["containers"]
        }
        assert images == {"registry.example.com/ingestion-operator"}
