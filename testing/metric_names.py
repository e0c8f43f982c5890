"""What a registry has: names, kinds and labels of its metrics, as Prometheus will see them."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.ports import JOBS

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def registry_of_operator() -> CollectorRegistry:
    """The registry of an operator whose cache reads Jobs."""
    metrics = OperatorMetrics()
    metrics.follow_cache(lambda: {(JOBS, ""): 0.0})
    return metrics.registry


def families(registry: CollectorRegistry) -> dict[str, str]:
    """Kinds by name; a counter has its _total. Without what every program has."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
        if not family.name.startswith(("process_", "python_"))
    }


def series(registry: CollectorRegistry) -> set[str]:
    """Names that a query may use."""
    return {
        name.removesuffix("_total") + suffix if kind == "counter" else name + suffix
        for name, kind in families(registry).items()
        for suffix in _SUFFIXES[kind]
    }


def labels_of(metrics: Any) -> dict[str, list[str]]:
    """Label names, by the names of `families`, of the metrics that are attributes."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            suffix = "_total" if metric._type == "counter" else ""
            found[metric._name + suffix] = list(metric._labelnames)
    return found
