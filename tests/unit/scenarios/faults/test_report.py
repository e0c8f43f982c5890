"""The table and the last line of `make chaos`."""

import json
from dataclasses import replace

from testing.machine import Facts
from tests.scenarios.faults import document
from tests.scenarios.faults.case import Case, Result
from tests.scenarios.faults.report import last_line, slowest, table
from tests.scenarios.faults.verdict import Counts
from tests.unit.scenarios.faults.observations import KILLED, act, observation

CASE = Case("killed", "kubectl delete pod", act, KILLED)


def test_the_table_has_a_line_a_case_with_its_longest_times() -> None:
    slower = observation(recorded_at=102.5)
    results = [
        Result(CASE, 1, [(KILLED, observation())], able_seconds=0.8),
        Result(CASE, 2, [(KILLED, slower)], able_seconds=1.26),
    ]
    lines = table(results).splitlines()
    assert len(lines) == 3
    cells = "kubectl delete pod | stopped | Killed | operator | 2 | `last line` | 1,000 ms | 500 ms"
    assert lines[2] == f"| {cells} | 1.3 s, within 30 s |"


def test_the_last_line_counts_distinct_cases_and_all_rows() -> None:
    untimed = replace(CASE, name="away", is_timed=False)
    late = observation(recorded_at=999.0)
    unstarted = observation(container_ended_at=None, recorded_at=998.0)
    seen = [(KILLED, observation()), (KILLED, unstarted)]
    results = [
        Result(CASE, 1, seen, able_seconds=2.0),
        Result(CASE, 2, seen, able_seconds=1.0),
        Result(untimed, 1, [(KILLED, late)], ["too late"]),
    ]
    assert json.loads(last_line(results, Counts(doubled=1, deaf=2))) == {
        "cases": 2,
        "rows": 3,
        "passed": 2,
        "end_to_cr_p99_ms": 100.0,
        "end_to_server_p99_ms": 500.0,
        "able_again_max_s": 2.0,
        "lost": 0,
        "doubled": 1,
        "hidden": 0,
        "deaf": 2,
    }
    assert json.loads(last_line([], Counts()))["end_to_cr_p99_ms"] is None


def test_the_slowest_cases_come_first_with_their_plan() -> None:
    slow = replace(CASE, name="slow", about_seconds=100)
    results = [Result(CASE, 1, seconds=5), Result(slow, 1, seconds=130), Result(CASE, 2, seconds=7)]
    assert slowest(results, 2) == "slow 130 s (100), killed 7 s (75)"


def test_only_the_part_between_the_comments_is_rewritten() -> None:
    machine: Facts = {"cores": 2, "memory_gib": 24.0, "kubernetes": "v1.37.2", "load_before": 0.5}
    section, content = document.SECTION, document.content("| new |", machine, 3)
    text = section.document.read_text()
    once = section.replaced(text, content)
    assert section.replaced(once, content) == once
    assert "\n| new |\n" in once
    assert once.startswith(text[: text.index("<!--")])
    assert once.endswith(text[text.index("## Not in the matrix") :])
