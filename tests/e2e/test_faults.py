"""The quick part of the fault matrix: cases of `make chaos` that differ most from what the other tests here do."""

from collections.abc import Iterator

import pytest

from testing.installation import Installation
from tests.scenarios.faults import verdict
from tests.scenarios.faults.case import Case, Result
from tests.scenarios.faults.cases import CASES
from tests.scenarios.faults.execution import final_counts, run_case, run_round
from tests.scenarios.faults.target import open_target
from tests.scenarios.faults.trial import Trial

NAMES = ("partial-success", "killed-queued", "killed-pending", "server-away-at-the-end")


@pytest.fixture(scope="module")
def done(installation: Installation) -> Iterator[list[tuple[Trial, Result]]]:
    """Run together, as far as they do not disturb each other: a run's start takes longer than all else."""
    with open_target(installation) as target:

        def run(case: Case) -> tuple[Trial, Result]:
            return run_case(target, case, 1)

        yield run_round(run, [case for case in CASES if case.name in NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_a_disturbed_run_ends_as_its_case_expects(done: list[tuple[Trial, Result]], name: str) -> None:
    (result,) = (result for _, result in done if result.case.name == name)
    assert not result.problems
    assert result.observations


def test_no_run_is_lost_doubled_or_hidden(done: list[tuple[Trial, Result]]) -> None:
    assert final_counts(done) == verdict.Counts()
