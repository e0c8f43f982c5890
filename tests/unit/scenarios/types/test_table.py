"""What the table of pipeline types expects, and how it is reported."""

import json
from dataclasses import replace

import pytest

from ingestion_operator.render.pod import RUNNABLE_PIPELINE_TYPES
from testing.machine import Facts
from tests.scenarios.types import document
from tests.scenarios.types.case import Case, Expected, Result, Seen, deviations
from tests.scenarios.types.cases import CASES
from tests.scenarios.types.environment import Environment
from tests.scenarios.types.report import last_line, problems, table

SEEN = Seen("failed", "InitializationFailed", "the password is wrong", 12.34, 300 * 2**20, "a line\nof the log")
EXPECTED = Expected("failed", "InitializationFailed", "password")


def never(_: Environment, name: str) -> Seen:
    raise AssertionError(f"{name} is not run here")


CASE = Case("refused", "usage", "PostgreSQL", "wrong password", never, EXPECTED)


def test_what_is_expected_is_not_a_deviation() -> None:
    assert deviations(EXPECTED, SEEN) == []
    assert deviations(replace(EXPECTED, words="log:of the log"), SEEN) == []


@pytest.mark.parametrize(
    ("expected", "named"),
    [
        (replace(EXPECTED, state="success"), "not success"),
        (replace(EXPECTED, reason="Succeeded"), "Succeeded"),
        (replace(EXPECTED, words="certificate"), "message does not contain 'certificate'"),
        (replace(EXPECTED, words="log:password"), "log does not contain 'password'"),
    ],
)
def test_what_differs_is_named(expected: Expected, named: str) -> None:
    (problem,) = deviations(expected, SEEN)
    assert named in problem


def test_the_table_has_the_result_of_each_case() -> None:
    last = table([Result(CASE, SEEN, [])]).splitlines()[-1]
    assert last == "| `usage` | PostgreSQL | wrong password | failed | InitializationFailed | 12.3 s | 300 MiB |"


def test_a_failed_case_is_in_the_table_and_among_the_problems() -> None:
    result = Result(CASE, None, ["no CronJob"])
    assert table([result]).splitlines()[-1] == "| `usage` | PostgreSQL | wrong password |  |  |  |  |"
    assert problems([result]) == ["refused: no CronJob"]


def test_the_last_line_has_peaks_and_the_longest_success() -> None:
    success = Result(replace(CASE, situation=""), replace(SEEN, seconds=9.87, peak_memory=2**20), [])
    assert json.loads(last_line([Result(CASE, SEEN, []), success, Result(CASE, None, ["x"])])) == {
        "cases": 3,
        "passed": 2,
        "longest_success_s": 9.9,
        "peak_memory_mib": {"usage": 300},
    }


def test_the_document_gets_the_table_between_its_markers() -> None:
    machine: Facts = {"cores": 2, "memory_gib": 24.0, "kubernetes": "v1.37.2", "load_before": 0.1}
    once = document.SECTION.rewritten(document.content("| a |", machine))
    assert "| a |" in once
    assert "## What is not run" in once
    assert document.SECTION.replaced(once, document.content("| b |", machine)) == once.replace("| a |", "| b |")


def test_names_are_distinguished() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("pipeline_type", sorted(RUNNABLE_PIPELINE_TYPES))
def test_each_type_has_a_failure_and_if_possible_a_success(pipeline_type: str) -> None:
    states = {case.expected.state for case in CASES if case.pipeline_type == pipeline_type}
    assert states == {"failed"} if pipeline_type == "autoClassification" else {"failed", "success"}


def test_the_quick_cases_have_every_type() -> None:
    assert {case.pipeline_type for case in CASES if case.is_quick} == RUNNABLE_PIPELINE_TYPES.keys()
