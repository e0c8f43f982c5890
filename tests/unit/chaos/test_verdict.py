"""What the fault matrix holds for right, wrong, lost and doubled."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.machine import Facts
from tests.chaos import document
from tests.chaos.report import last_line, table
from tests.chaos.row import Result, Row
from tests.chaos.scene import Scene
from tests.chaos.story import Story
from tests.chaos.verdict import SUCCESS, Expected, count, deviations, is_doubled, is_lost
from tests.cluster.locations import CHECKOUT

KILLED = Expected("stopped", ("Killed",), ("operator",), most_rows=2, message="on request", log="last line")


def row(*states: str, step: str = "Source", began: float = 100.0) -> dict[str, Any]:
    """A run at the double: its states in the order written, a second apart."""
    history = [{"at": began + number, "state": state} for number, state in enumerate(states)]
    terminal = [state for state in states if state != "running"]
    return {
        "state": states[-1],
        "history": history,
        "terminalStates": terminal,
        "row": {"pipelineState": states[-1], "status": [{"name": step}]},
    }


def story(**changes: Any) -> Story:
    """A run that was killed and rightly recorded and told."""
    record = {"state": "stopped", "reason": "Killed", "message": "Stopped on request", "report": "Done"}
    usual = Story(
        pipeline="p",
        run_id="r",
        fault_at=99.0,
        container_ended_at=101.5,
        recorded_at=101.6,
        ends=(("stopped", "Killed"),),
        record=record,
        jobs=("p-1",),
        row=row("running", "failed", "stopped", step="Operator"),
        log="first line\nlast line",
    )
    return replace(usual, **changes)


def record(**changes: Any) -> dict[str, Any]:
    return {**(story().record or {}), **changes}


def test_a_run_that_ended_as_it_must_has_no_deviations() -> None:
    assert deviations(KILLED, story()) == []
    assert not is_lost(story())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record": None}, "in no status"),
        ({"record": record(state="failed")}, "state failed, not stopped"),
        ({"record": record(reason="Interrupted")}, "reason Interrupted, not Killed"),
        ({"record": record(message="no idea")}, "is not in the message"),
        ({"record": record(report="Pending")}, "report is Pending"),
        ({"log": "first line"}, "is not in the archived log"),
        ({"row": None}, "the server was told None"),
        ({"row": row("running", "failed", step="Operator")}, "the server was told failed"),
        ({"row": row("running", "stopped", step="Runner")}, "closed by runner"),
        ({"row": row("running")}, "closed by nobody"),
        ({"row": row("failed", "stopped", "stopped", step="Operator")}, "3 terminal rows"),
        ({"jobs": ("p-1", "p-2")}, "terminal rows"),
        ({"ends": (("failed", "Interrupted"), ("stopped", "Killed"))}, "the record of the ended run had the ends"),
    ],
)
def test_each_deviation_is_named(changes: dict[str, Any], words: str) -> None:
    assert any(words in found for found in deviations(KILLED, story(**changes)))


def test_lost_is_a_run_without_an_end_in_the_status_or_at_the_server() -> None:
    assert is_lost(story(record=record(state="running")))
    assert is_lost(story(row=row("running")))
    assert is_lost(story(row=None))


def test_doubled_is_a_second_final_row_or_a_second_job() -> None:
    assert is_doubled(SUCCESS, story(row=row("success", "success")))
    assert is_doubled(KILLED, story(jobs=("p-1", "p-2")))
    assert count([(KILLED, story()), (KILLED, story(row=row("running"))), (SUCCESS, story())]) == (1, 1)


def test_times_count_from_the_end_of_the_container_or_from_when_all_was_up_again() -> None:
    assert story().to_record_ms == pytest.approx(100)
    assert story().to_server_ms == pytest.approx(500)
    assert story(up_since=101.9).to_server_ms == pytest.approx(100)
    assert story(container_ended_at=None).to_record_ms == pytest.approx(2600)
    assert story(recorded_at=101.0).to_record_ms == 0.0
    assert story(recorded_at=None).to_record_ms is None


def act(_: Scene) -> None:
    raise NotImplementedError


def test_the_table_has_a_line_for_each_row_with_the_longest_times_of_all_rounds() -> None:
    killed = Row("killed", "kubectl delete pod", act, KILLED)
    slower = story(recorded_at=102.5)
    results = [Result(killed, 1, [(KILLED, story())]), Result(killed, 2, [(KILLED, slower)])]
    lines = table(results).splitlines()
    assert len(lines) == 3
    cells = "kubectl delete pod | stopped | Killed | operator | 2 | `last line` | 1,000 ms | 500 ms"
    assert lines[2] == f"| {cells} |"


def test_the_last_line_counts_rows_of_all_rounds_and_times_only_ends_of_containers_with_all_sides_up() -> None:
    timed = Row("killed", "kubectl delete pod", act, KILLED)
    untimed = replace(timed, name="away", is_timed=False)
    late = story(recorded_at=999.0)
    unstarted = story(container_ended_at=None, recorded_at=998.0)
    stories = [(KILLED, story()), (KILLED, unstarted)]
    results = [Result(timed, 1, stories), Result(untimed, 1, [(KILLED, late)], ["too late"])]
    assert last_line(results, lost=0, doubled=1) == (
        '{"rows": 2, "passed": 1, "end_to_cr_p99_ms": 100.0, "end_to_server_p99_ms": 500.0, "lost": 0, "doubled": 1}'
    )
    assert '"end_to_cr_p99_ms": null' in last_line([], lost=0, doubled=0)


def test_only_what_stands_between_the_marks_of_the_document_is_rewritten() -> None:
    machine: Facts = {"cores": 2, "memory_gib": 24.0, "kubernetes": "v1.37.2", "load_before": 0.5}
    text = (CHECKOUT / document.NAME).read_text()
    once = document.rewritten(text, "| new |", machine, 3)
    assert document.rewritten(once, "| new |", machine, 3) == once
    assert "\n| new |\n" in once
    assert once.startswith(text[: text.index("<!--")])
    assert once.endswith(text[text.index("## Not played here") :])
    with pytest.raises(ValueError, match="has lost the marks"):
        document.rewritten("no marks", "| new |", machine, 3)
