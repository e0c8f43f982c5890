"""What came of the table, for people and for machines; pure functions."""

import json
from collections.abc import Sequence
from typing import Final

from testing.markdown_section import markdown_table
from tests.scenarios.types.case import Result

COLUMNS: Final = ("type", "source", "what is the matter", "state", "reason", "finished after", "peak memory")
_MIB: Final = 2**20


def cells(result: Result) -> list[str]:
    """Return a row of the table."""
    case, seen = result.case, result.seen
    about = [f"`{case.pipeline_type}`" if " " not in case.pipeline_type else case.pipeline_type]
    about += [case.source, case.situation or "nothing"]
    if seen is None:
        return [*about, "", "", "", ""]
    peak = f"{seen.peak_memory // _MIB} MiB" if seen.peak_memory else ""
    return [*about, seen.state, seen.reason, f"{seen.seconds:.1f} s", peak]


def table(results: Sequence[Result]) -> str:
    """Return all rows in Markdown."""
    return markdown_table(COLUMNS, (cells(result) for result in results))


def problems(results: Sequence[Result]) -> list[str]:
    """Return a line for each thing that was not as expected."""
    return [f"{result.case.name}: {problem}" for result in results for problem in result.problems]


def last_line(results: Sequence[Result]) -> str:
    """Return the result as one JSON object; the peaks are the highest of each type, in MiB."""
    peaks: dict[str, int] = {}
    for result in results:
        if result.seen is not None and result.seen.peak_memory:
            kind = result.case.pipeline_type
            peaks[kind] = max(peaks.get(kind, 0), result.seen.peak_memory // _MIB)
    seconds = [result.seen.seconds for result in results if result.seen is not None and not result.case.situation]
    return json.dumps(
        {
            "cases": len(results),
            "passed": sum(not result.problems for result in results),
            "longest_success_s": round(max(seconds), 1) if seconds else None,
            "peak_memory_mib": peaks,
        }
    )
