"""Whether OpenMetadata was told of each run what its pipeline's status says, once; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.scenarios.soak.ledger import Run


def not_as_told(records: Mapping[Run, Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the runs of which the server has no end, another one than the record, or was told more than once."""
    by_id = {row["runId"]: row for row in rows}
    found = []
    for (_, run), record in records.items():
        row = by_id.get(run, {})
        ends = list(row.get("terminalStates", []))
        if ends != [record["state"]]:
            found.append(f"run {run} ended as {record['state']}; OpenMetadata was told {ends or 'nothing'}")
    return found
