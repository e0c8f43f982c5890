"""What the fault matrix takes for right, wrong, lost, doubled and hidden."""

from dataclasses import replace
from typing import Any

import pytest

from tests.scenarios.faults.case import Case, Result, problems_of
from tests.scenarios.faults.verdict import SUCCESS, Counts, count, deviations, is_doubled, is_hidden, is_lost
from tests.unit.scenarios.faults.observations import KILLED, act, observation, record, row


def test_a_run_that_ended_as_it_must_has_no_deviations() -> None:
    assert deviations(KILLED, observation()) == []
    assert not is_lost(observation())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record": None}, "in no status"),
        ({"record": record(state="failed")}, "state failed, not stopped"),
        ({"record": record(reason="Interrupted")}, "reason Interrupted, not Killed"),
        ({"record": record(message="no idea")}, "is not in the message"),
        ({"record": record(report="Pending")}, "report is Pending"),
        ({"log": "first line"}, "is not in the archived log"),
        ({"row": None}, "the server has None"),
        ({"row": row("running", "failed", step="Operator")}, "the server has failed"),
        ({"row": row("running", "stopped", step="Runner")}, "closed by runner"),
        ({"row": row("running")}, "closed by no program"),
        ({"row": row("failed", "stopped", "stopped", step="Operator")}, "3 terminal rows"),
        ({"jobs": ("p-1", "p-2")}, "Jobs ['p-1', 'p-2']"),
        ({"overlapping_pods": (("p-1-a", "p-1-b"),)}, "pods at the same time [('p-1-a', 'p-1-b')]"),
        ({"ends": (("failed", "Interrupted"), ("stopped", "Killed"))}, "the record of the ended run had the ends"),
    ],
)
def test_each_deviation_is_named(changes: dict[str, Any], words: str) -> None:
    assert any(words in found for found in deviations(KILLED, observation(**changes)))


def test_a_run_outside_the_status_needs_only_the_servers_row() -> None:
    gone = observation(record=record(report="Pending"), is_listed=False)
    assert deviations(KILLED, gone) == []
    assert is_lost(replace(gone, row=row("running")))


def test_lost_is_a_run_without_a_recorded_and_reported_end() -> None:
    assert is_lost(observation(record=record(state="running")))
    assert is_lost(observation(row=row("running")))
    assert is_lost(observation(row=None))


def test_doubled_is_a_row_too_many_a_second_job_or_two_pods() -> None:
    assert is_doubled(SUCCESS, observation(row=row("success", "success")))
    assert is_doubled(KILLED, observation(jobs=("p-1", "p-2")))
    assert is_doubled(KILLED, observation(overlapping_pods=[("p-1-a", "p-1-b")]))
    assert not is_doubled(KILLED, observation())


@pytest.mark.parametrize(
    ("unlisted", "fault_at", "up_since", "seconds"),
    [
        ((), 100, 0, 0),
        ([(100, 101), (200, 240)], 100, 0, 40),  # the operator was up all the time
        ([(100, 200)], 110, 190, 10),  # 10 s before the fault, 10 s after it
        ([(120, 180)], 110, 190, 0),
        ([(120, 250)], 110, 190, 60),
        ([(60, 130)], 110, 190, 50),
        ([(20, 30)], 110, 190, 10),
    ],
)
def test_hidden_is_counted_outside_of_the_fault(
    unlisted: list[tuple[float, float]], fault_at: float, up_since: float, seconds: float
) -> None:
    seen = observation(unlisted=unlisted, fault_at=fault_at, up_since=up_since)
    assert seen.hidden_seconds == seconds
    assert is_hidden(seconds - 0.1, seen) == (seconds > 0) or seconds == 0
    assert not is_hidden(seconds, seen)


def test_each_run_is_counted_once_for_each_fault() -> None:
    seen = [
        (KILLED, observation()),
        (KILLED, observation(row=row("running"))),
        (SUCCESS, observation()),
        (KILLED, observation(unlisted=[(0, 31)])),
    ]
    assert count(seen, bound=30) == Counts(lost=1, doubled=1, hidden=1)
    assert count(seen, bound=31) + Counts(deaf=2) == Counts(lost=1, doubled=1, deaf=2)


def test_a_case_with_anything_counted_has_not_passed() -> None:
    case = Case("killed", "kubectl delete pod", act, KILLED)
    assert Result(case, 1).has_passed
    assert not Result(case, 1, counts=Counts(deaf=1)).has_passed
    assert not Result(case, 1, problems=["something"]).has_passed


def test_a_hidden_run_and_a_late_record_are_problems() -> None:
    case = Case("killed", "kubectl delete pod", act, KILLED, place="own", able_within=30)
    assert problems_of(case, [(KILLED, observation())]) == []
    assert "for 40 s no list" in problems_of(case, [(KILLED, observation(unlisted=[(0, 40)]))])[0]
    late = [(KILLED, observation(recorded_at=140.0))]
    assert problems_of(case, late) == ["p: the end was recorded after 38500 ms"]
    assert problems_of(replace(case, able_within=60), late) == []


def test_times_count_from_the_containers_end_or_the_recovery() -> None:
    assert observation().to_record_ms == pytest.approx(100)
    assert observation().to_server_ms == pytest.approx(500)
    assert observation(up_since=101.9).to_server_ms == pytest.approx(100)
    assert observation(container_ended_at=None).to_record_ms == pytest.approx(2600)
    assert observation(recorded_at=101.0).to_record_ms == 0.0
    assert observation(recorded_at=None).to_record_ms is None
