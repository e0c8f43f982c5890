"""The figures of the operator's own /metrics."""

import urllib.request
from dataclasses import dataclass
from typing import Final

from testcluster.errors import TestClusterError

RECONCILES: Final = ("ingestion_operator_reconcile_seconds_count",)
"""How often a pipeline was reconciled, whatever came of it: the names that commits have for it, newest first."""

PIPELINES: Final = "ingestion_pipelines"
"""How many pipelines the operator has judged, by what it made of them."""

_BOUND_SECONDS: Final = 30


def total(text: str, name: str) -> float | None:
    """Return the sum of a metric's samples over all their labels; None where the text has no such metric."""
    lines = (line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{")))
    values = [float(line.rpartition(" ")[2]) for line in lines]
    return sum(values) if values else None


@dataclass(frozen=True)
class OperatorMetrics:
    """Read from one running operator."""

    url: str

    def reconciles(self) -> int:
        """Return the number of reconciliations. Raises TestClusterError where the operator does not count them."""
        text = self._text()
        found = [value for name in RECONCILES if (value := total(text, name)) is not None]
        if not found:
            names = " or ".join(RECONCILES)
            raise TestClusterError(f"{self.url} has no metric {names}: add its new name to RECONCILES in {__name__}")
        return round(found[0])

    def pipelines(self) -> int:
        """Return the number of pipelines that have been judged, 0 while the operator counts none."""
        return round(total(self._text(), PIPELINES) or 0)

    def _text(self) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url, timeout=_BOUND_SECONDS) as answer:
            return str(answer.read().decode())
