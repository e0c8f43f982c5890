"""What came of the matrix, for people and for machines; pure functions."""

import json
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.figures import percentile
from tests.chaos.row import Result
from tests.chaos.story import Story

COLUMNS: Final = ("fault", "state", "reason", "report", "rows", "log", "to the status", "to the server")


def cells(results: Sequence[Result]) -> list[str]:
    """Return a row of the table from all rounds of one row of the matrix; times are the longest."""
    row = results[0].row
    stories = [(expected, story) for result in results for expected, story in result.stories]
    log = next((expected.log for expected, _ in stories if expected.log), "")
    return [
        row.fault,
        _words(story.state for _, story in stories),
        _words(story.reason for _, story in stories),
        _words(story.teller for _, story in stories),
        _words(str(len(story.terminal_rows)) for _, story in stories),
        f"`{log}`" if log else "none: nothing ran" if not any(s.container_ended_at for _, s in stories) else "",
        _longest([story.to_record_ms for _, story in stories]),
        _longest([story.to_server_ms for _, story in stories]),
    ]


def table(results: Sequence[Result]) -> str:
    """Return the matrix as a table in Markdown, in the order of the rows."""
    by_row: dict[str, list[Result]] = {}
    for result in results:
        by_row.setdefault(result.row.name, []).append(result)
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(cells(rounds) for rounds in by_row.values())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def last_line(results: Sequence[Result], *, lost: int, doubled: int) -> str:
    """Return the result as one JSON object.

    The times are those of containers that ended in rows in which operator, API server and OpenMetadata are all up
    then; null where there is none.
    """
    of_timed = [story for result in results if result.row.is_timed for _, story in result.stories]
    timed = [story for story in of_timed if story.container_ended_at is not None]
    found: dict[str, Any] = {
        "rows": len(results),
        "passed": sum(result.has_passed for result in results),
        "end_to_cr_p99_ms": _p99([story.to_record_ms for story in timed]),
        "end_to_server_p99_ms": _p99([story.to_server_ms for story in timed]),
        "lost": lost,
        "doubled": doubled,
    }
    return json.dumps(found)


def failures(results: Sequence[Result]) -> list[str]:
    """Return a line for each thing that was not as expected."""
    return [f"{result.row.name}, round {result.round}: {problem}" for result in results for problem in result.problems]


def timeline(story: Story) -> str:
    """Return what was seen of a run and when, for somebody who looks for a cause."""
    moments = {
        "fault": story.fault_at,
        "up again": story.up_since or None,
        "container ended": story.container_ended_at,
        "in the status": story.recorded_at,
        "at the server": story.told_at,
    }
    since = min(moment for moment in moments.values() if moment)
    told = ", ".join(f"{name} +{moment - since:.2f} s" for name, moment in moments.items() if moment)
    return f"{story.pipeline}, run {story.run_id}: {told}; {story.record}; {(story.row or {}).get('row')}"


def _words(values: Any) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))


def _longest(times: Sequence[float | None]) -> str:
    known = [moment for moment in times if moment is not None]
    return f"{max(known):,.0f} ms" if known else "never"


def _p99(times: Sequence[float | None]) -> float | None:
    known = [moment for moment in times if moment is not None]
    return round(percentile(known, 0.99), 1) if known else None
