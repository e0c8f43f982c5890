"""Whether OpenMetadata received the end of each run as in the pipeline's status, once; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.scenarios.soak.ledger import Run


def report_problems(records: Mapping[Run, Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the runs whose end the server lacks, has differently, or received more than once."""
    by_id = {row["runId"]: row for row in rows}
    found = []
    for (_, run), record in records.items():
        row = by_id.get(run, {})
        ends = list(row.get("terminalStates", []))
        if ends != [record["state"]]:
            found.append(f"run {run} ended as {record['state']}; OpenMetadata received {ends or 'nothing'}")
    return found
