"""The list of cases, and the order in which a round runs them."""

import re
import threading
from dataclasses import replace
from typing import cast

import pytest

from tests.scenarios.faults.case import Case, Place, Result
from tests.scenarios.faults.cases import CASES
from tests.scenarios.faults.execution import OWN_AT_ONCE, SHARED_AT_ONCE, phases, run_round
from tests.scenarios.faults.trial import Trial
from tests.unit.scenarios.faults.observations import act

ROUND_SECONDS = 75 * 60


def test_there_are_at_least_sixty_cases_with_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 60
    assert len({case.fault for case in CASES}) == len(CASES)
    for name in names:
        assert re.fullmatch("[a-z0-9]([-a-z0-9]{,38}[a-z0-9])?", name), name


def test_each_case_bounds_the_time_until_the_operator_is_able() -> None:
    assert all(0 < case.able_within <= 120 for case in CASES)


@pytest.mark.parametrize("way", ["error-event", "internal-error-event", "401", "403", "404", "503", "silent"])
def test_each_way_to_fail_hits_one_watch_and_all(way: str) -> None:
    names = {case.name for case in CASES}
    assert {f"watch-{way}-one", f"watch-{way}-all"} <= names


def test_a_round_is_planned_to_take_75_minutes_at_most() -> None:
    assert sum(phase.about_seconds for phase in phases(CASES)) <= 0.9 * ROUND_SECONDS


def case_at(place: Place, seconds: float) -> Case:
    return Case(f"{place}-{seconds:.0f}", "a fault", act, place=place, about_seconds=seconds)


def test_a_phase_takes_as_long_as_its_longest_lane() -> None:
    cases = [case_at("shared", seconds) for seconds in (30, 60, 50, 40)]
    (phase,) = phases(cases)
    assert [case.about_seconds for case in phase.cases] == [60, 50, 40, 30]
    assert (phase.at_once, phase.about_seconds) == (SHARED_AT_ONCE, 70)


def test_exclusive_cases_run_alone_and_last() -> None:
    cases = [case_at("exclusive", 1), case_at("own", 2), case_at("shared", 3), case_at("exclusive", 4)]
    found = phases(cases)
    assert [[case.place for case in phase.cases] for phase in found] == [["shared"], ["own"], ["exclusive"] * 2]
    assert [phase.at_once for phase in found] == [SHARED_AT_ONCE, OWN_AT_ONCE, 1]
    assert [case.about_seconds for case in found[2].cases] == [1, 4]


def test_every_case_of_a_round_runs_once_and_no_more_than_fit() -> None:
    cases = [replace(case_at("shared", 1), name=str(number)) for number in range(5)]
    cases += [replace(case_at("exclusive", 1), name=f"alone-{number}") for number in range(2)]
    lock, working, most = threading.Lock(), set[str](), dict[str, int]()

    def run(case: Case) -> tuple[Trial, Result]:
        with lock:
            working.add(case.name)
            most[case.place] = max(most.get(case.place, 0), len(working))
        with lock:
            working.remove(case.name)
        return cast("Trial", None), Result(case, 1)

    done = run_round(run, cases)
    assert [result.case.name for _, result in done] == [case.name for case in cases]
    assert most["shared"] <= SHARED_AT_ONCE
    assert most["exclusive"] == 1
