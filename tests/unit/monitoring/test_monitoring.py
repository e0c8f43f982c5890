"""Rules and dashboard: they ask for metrics that exist, fire when they must, and each alert has its runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_operator.gateway.metrics import Metrics
from testing.metric_names import registry_of_operator, series

ROOT = Path(__file__).parents[3]
FILES = ROOT / "charts" / "ingestion-operator" / "files"
CASES = Path(__file__).with_name("rules_test.yaml")
RULES = [rule for group in yaml.safe_load((FILES / "rules.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
PROMTOOL = shutil.which("promtool")


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def metrics_in(query: str) -> set[str]:
    return set(re.findall(r"\b(?:ingestion|process|workqueue)_\w+", query))


def known() -> set[str]:
    return series(registry_of_operator()) | series(Metrics().registry) | {"process_resident_memory_bytes"}


@pytest.mark.parametrize("query", [*queries(), *(rule["expr"] for rule in RULES)])
def test_a_query_uses_only_metrics_that_exist(query: str) -> None:
    assert metrics_in(query)
    assert metrics_in(query) <= known()


def test_the_dashboard_shows_every_metric_of_the_fleet() -> None:
    shown = {re.sub("_(bucket|sum|count)$", "", name) for query in queries() for name in metrics_in(query)}
    everything = {re.sub("_(bucket|sum|count)$", "", name) for name in known()}
    assert everything - shown == {"ingestion_pipeline_next_schedule_timestamp_seconds"}


def test_panels_lie_beside_each_other_and_name_their_data_source() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {"${datasource}"}
    assert all(
        target["expr"].count("(") == target["expr"].count(")") for p in panels for target in p.get("targets", [])
    )


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    page = (ROOT / "docs" / "operations" / "alerts.md").read_text()
    assert re.findall(r"^## (Ingestion\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations/alerts.md#{rule['alert'].lower()}"


def test_each_alert_is_tried_firing_and_silent() -> None:
    tried = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in tried if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in tried if not case.get("exp_alerts")} == alerts


def test_rules_fire_when_they_must() -> None:
    assert PROMTOOL is not None, "promtool is missing: run python -m testcluster setup"
    done = subprocess.run([PROMTOOL, "test", "rules", str(CASES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
