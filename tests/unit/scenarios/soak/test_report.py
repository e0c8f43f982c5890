"""How a soak is judged."""

import json

import pytest

from tests.scenarios.soak import report
from tests.scenarios.soak.execution import Result
from tests.scenarios.soak.flatness import WARM_UP_SECONDS, Lives, growth_per_hour, warm
from tests.scenarios.soak.reported import report_problems

HOUR = 3600


def line(start: float, per_hour: float, *, seconds: int = HOUR) -> list[tuple[float, float]]:
    return [(at, start + per_hour * at / HOUR) for at in range(0, seconds + 1, 60)]


def result(memory: Lives) -> Result:
    return Result(seed=1, seconds=HOUR, lives={"operator": {"memory_mib": memory}})


def test_growth_is_what_all_lives_have_in_common() -> None:
    assert growth_per_hour([line(50, 6), line(90, 6, seconds=600)]) == pytest.approx(6)
    assert growth_per_hour([line(50, 0), line(90, 0)]) == 0


def test_the_beginning_of_each_life_does_not_count() -> None:
    (life,) = warm({1: line(50, 6), 2: line(50, 900, seconds=60)})
    assert life[0][0] == WARM_UP_SECONDS


@pytest.mark.parametrize(("per_hour", "expected"), [(0, []), (60, ["grew by 60.0 an hour"])])
def test_a_process_that_grows_is_a_violation(per_hour: float, expected: list[str]) -> None:
    found = report.violations(result({1: line(20, per_hour)}))
    assert len(found) == len(expected)
    assert all(words in text for words, text in zip(expected, found, strict=True))


def test_too_short_a_life_has_a_peak_but_no_growth() -> None:
    found = result({1: line(500, 9000, seconds=300)})
    (each,) = report.judged(found)
    assert each.growth_per_hour is None
    assert report.violations(found) == ["memory_mib of the operator reached 1250, more than 110"]
    assert "too short" in report.table(found)


def test_the_last_line_is_one_object_with_all_measures() -> None:
    found = result({1: line(80, 0)})
    found.steps, found.violations = {"run": 3, "kill": 1}, ["run 1 was lost", "run 1 was lost"]
    assert json.loads(report.last_line(found)) == {
        "seed": 1,
        "minutes": 60,
        "steps": 4,
        "faults": 0,
        "runs": 0,
        "violations": 1,
        "operator_memory_mib_peak": 80,
        "operator_memory_mib_growth_per_hour": 0,
    }


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (["success"], []),
        (["success", "success"], ["run a ended as success; OpenMetadata received ['success', 'success']"]),
        (["failed"], ["run a ended as success; OpenMetadata received ['failed']"]),
        ([], ["run a ended as success; OpenMetadata received nothing"]),
    ],
)
def test_openmetadata_must_receive_the_same_end_once(reported: list[str], expected: list[str]) -> None:
    rows = [{"runId": "a", "terminalStates": reported}]
    assert report_problems({("uid", "a"): {"state": "success"}}, rows) == expected
