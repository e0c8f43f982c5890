"""What the matrix led to, for people and for programs; pure functions."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from testing.figures import percentile
from testing.markdown_section import markdown_table
from tests.scenarios.faults.case import Result
from tests.scenarios.faults.observation import Observation
from tests.scenarios.faults.verdict import Counts

COLUMNS: Final = ("fault", "state", "reason", "report", "rows", "log", "to the status", "to the server", "able again")


def cells(results: Sequence[Result]) -> list[str]:
    """Return a row of the table from all rounds of one case; times are the longest."""
    case = results[0].case
    observations = [(expected, seen) for result in results for expected, seen in result.observations]
    log = next((expected.log for expected, _ in observations if expected.log), "")
    return [
        case.fault,
        _words(seen.state for _, seen in observations),
        _words(seen.reason for _, seen in observations),
        _words(seen.reporter for _, seen in observations),
        _words(str(len(seen.terminal_rows)) for _, seen in observations),
        f"`{log}`" if log else "none: nothing ran" if not any(s.container_ended_at for _, s in observations) else "",
        _longest([seen.to_record_ms for _, seen in observations]) if observations else "",
        _longest([seen.to_server_ms for _, seen in observations]) if observations else "",
        f"{_able(results)}within {case.able_within:.0f} s",
    ]


def table(results: Sequence[Result]) -> str:
    """Return the matrix as a table in Markdown, in the order of the cases."""
    by_case: dict[str, list[Result]] = {}
    for result in results:
        by_case.setdefault(result.case.name, []).append(result)
    return markdown_table(COLUMNS, (cells(rounds) for rounds in by_case.values()))


def last_line(results: Sequence[Result], counts: Counts) -> str:
    """Return the result as one JSON object.

    The times are those of containers that ended in cases in which operator, API server and OpenMetadata are all up
    then; null where there is none.
    """
    of_timed = [seen for result in results if result.case.is_timed for _, seen in result.observations]
    timed = [seen for seen in of_timed if seen.container_ended_at is not None]
    able = [result.able_seconds for result in results if result.able_seconds is not None]
    found: dict[str, Any] = {
        "cases": len({result.case.name for result in results}),
        "rows": len(results),
        "passed": sum(result.has_passed for result in results),
        "end_to_cr_p99_ms": _p99([seen.to_record_ms for seen in timed]),
        "end_to_server_p99_ms": _p99([seen.to_server_ms for seen in timed]),
        "able_again_max_s": round(max(able), 1) if able else None,
        **asdict(counts),
    }
    return json.dumps(found)


def failures(results: Sequence[Result]) -> list[str]:
    """Return a line for each thing that was not as expected."""
    return [f"{result.case.name}, round {result.round}: {problem}" for result in results for problem in result.problems]


def slowest(results: Sequence[Result], number: int = 10) -> str:
    """Return the cases that took longest, with the time that the schedule assumes, to plan a round by."""
    longest = sorted(results, key=lambda result: -result.seconds)[:number]
    return ", ".join(f"{one.case.name} {one.seconds:.0f} s ({one.case.about_seconds:.0f})" for one in longest)


def timeline(seen: Observation) -> str:
    """Return what was seen of a run and when, for the search for a cause."""
    moments = {
        "fault": seen.fault_at,
        "up again": seen.up_since or None,
        "container ended": seen.container_ended_at,
        "in the status": seen.recorded_at,
        "at the server": seen.reported_at,
    }
    since = min(moment for moment in moments.values() if moment)
    known = ", ".join(f"{name} +{moment - since:.2f} s" for name, moment in moments.items() if moment)
    return f"{seen.pipeline}, run {seen.run_id}: {known}; {seen.record}; {(seen.row or {}).get('row')}"


def _able(results: Sequence[Result]) -> str:
    known = [result.able_seconds for result in results if result.able_seconds is not None]
    return f"{max(known):.1f} s, " if known else ""


def _words(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))


def _longest(times: Sequence[float | None]) -> str:
    known = [moment for moment in times if moment is not None]
    return f"{max(known):,.0f} ms" if known else "never"


def _p99(times: Sequence[float | None]) -> float | None:
    known = [moment for moment in times if moment is not None]
    return round(percentile(known, 0.99), 1) if known else None
