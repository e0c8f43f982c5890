"""What the table of pipeline types holds for right, and how it is told."""

import json
from dataclasses import replace

import pytest

from ingestion_operator.render.pod import RUNNABLE_PIPELINE_TYPES
from testcluster.locations import CHECKOUT
from testing.machine import Facts
from tests.scenarios.types import document
from tests.scenarios.types.case import Case, Expected, Result, Seen, deviations
from tests.scenarios.types.cases import CASES
from tests.scenarios.types.report import last_line, problems, table
from tests.scenarios.types.stage import Stage

SEEN = Seen("failed", "InitializationFailed", "the password is wrong", 12.34, 300 * 2**20, "a line\nof the log")
EXPECTED = Expected("failed", "InitializationFailed", "password")


def never(_: Stage, name: str) -> Seen:
    raise AssertionError(f"{name} is not played here")


CASE = Case("refused", "usage", "PostgreSQL", "wrong password", never, EXPECTED)


def test_what_is_expected_is_no_deviation() -> None:
    assert deviations(EXPECTED, SEEN) == []
    assert deviations(replace(EXPECTED, words="log:of the log"), SEEN) == []


@pytest.mark.parametrize(
    ("expected", "named"),
    [
        (replace(EXPECTED, state="success"), "not success"),
        (replace(EXPECTED, reason="Succeeded"), "Succeeded"),
        (replace(EXPECTED, words="certificate"), "message does not say 'certificate'"),
        (replace(EXPECTED, words="log:password"), "log does not say 'password'"),
    ],
)
def test_what_differs_is_named(expected: Expected, named: str) -> None:
    (problem,) = deviations(expected, SEEN)
    assert named in problem


def test_the_table_tells_what_was_seen_of_each_case() -> None:
    last = table([Result(CASE, SEEN, [])]).splitlines()[-1]
    assert last == "| `usage` | PostgreSQL | wrong password | failed | InitializationFailed | 12.3 s | 300 MiB |"


def test_a_case_that_could_not_be_played_stands_in_the_table_and_among_the_problems() -> None:
    result = Result(CASE, None, ["no CronJob"])
    assert table([result]).splitlines()[-1] == "| `usage` | PostgreSQL | wrong password |  |  |  |  |"
    assert problems([result]) == ["refused: no CronJob"]


def test_the_last_line_tells_the_highest_peak_of_each_type_and_the_longest_success() -> None:
    success = Result(replace(CASE, situation=""), replace(SEEN, seconds=9.87, peak_memory=2**20), [])
    assert json.loads(last_line([Result(CASE, SEEN, []), success, Result(CASE, None, ["x"])])) == {
        "cases": 3,
        "passed": 2,
        "longest_success_s": 9.9,
        "peak_memory_mib": {"usage": 300},
    }


def test_the_document_gets_the_table_between_its_marks() -> None:
    machine: Facts = {"cores": 2, "memory_gib": 24.0, "kubernetes": "v1.37.2", "load_before": 0.1}
    text = (CHECKOUT / document.NAME).read_text()
    once = document.rewritten(text, "| a |", machine)
    assert "| a |" in once
    assert "## What is not played" in once
    assert document.rewritten(once, "| b |", machine) == once.replace("| a |", "| b |")


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lost the marks"):
        document.rewritten("nothing", "| a |", {})


def test_names_are_told_apart() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("pipeline_type", sorted(RUNNABLE_PIPELINE_TYPES))
def test_each_type_is_played_with_a_failure_and_where_the_image_can_with_a_success(pipeline_type: str) -> None:
    states = {case.expected.state for case in CASES if case.pipeline_type == pipeline_type}
    assert states == {"failed"} if pipeline_type == "autoClassification" else {"failed", "success"}


def test_what_make_test_plays_has_every_type() -> None:
    assert {case.pipeline_type for case in CASES if case.is_quick} == RUNNABLE_PIPELINE_TYPES.keys()
