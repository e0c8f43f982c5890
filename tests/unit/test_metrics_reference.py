"""docs/operations/metrics.md names every metric, with its kind and labels, and none that is not there."""

import re
from pathlib import Path

from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.gateway.metrics import Metrics
from testing.metric_names import families, labels_of, registry_of_operator

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*?) ?\|", re.MULTILINE)


def documented() -> dict[str, str]:
    return {name: kind for name, kind, _ in ROW.findall(PAGE.read_text())}


def test_every_metric_is_documented_and_no_other() -> None:
    assert documented() == families(registry_of_operator()) | families(Metrics().registry)


def test_labels_are_documented() -> None:
    rows = {name: [label for label in labels.split(", ") if label] for name, _, labels in ROW.findall(PAGE.read_text())}
    found = labels_of(OperatorMetrics()) | labels_of(OperatorMetrics().queue) | labels_of(Metrics())
    assert {name: rows[name] for name in found} == found
    assert len(found) > 20
