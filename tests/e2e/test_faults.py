"""The quick half of the fault matrix: rows of `make chaos` that differ most from what the other tests here do."""

from collections.abc import Iterator

import pytest

from tests.chaos import verdict
from tests.chaos.play import play_round
from tests.chaos.row import Result
from tests.chaos.rows import ROWS
from tests.chaos.stage import open_stage_on
from tests.support.site import Site

NAMES = ("partial-success", "killed-queued", "killed-pending", "server-away-at-the-end")


@pytest.fixture(scope="module")
def results(site: Site) -> Iterator[dict[str, Result]]:
    """Played together, as far as they do not disturb each other: a run's start takes longer than all else."""
    rows = [row for row in ROWS if row.name in NAMES]
    with open_stage_on(site) as stage:
        yield {result.row.name: result for _, result in play_round(stage, rows, 1)}


@pytest.mark.parametrize("name", NAMES)
def test_a_disturbed_run_ends_as_its_row_says(results: dict[str, Result], name: str) -> None:
    assert not results[name].problems
    assert results[name].stories


def test_no_run_is_lost_or_told_twice(results: dict[str, Result]) -> None:
    stories = [story for result in results.values() for story in result.stories]
    assert verdict.count(stories) == (0, 0)
