"""A success of each pipeline type, and the failures that differ: the quick half of `make test-types`."""

import pytest

from testing import site as sites
from testing.site import Site
from testing.waiting import wait_for
from tests.scenarios.types.case import Result
from tests.scenarios.types.cases import CASES
from tests.scenarios.types.play import bad_calls, play_all
from tests.scenarios.types.stage import Stage, open_stage_on

QUICK = [case for case in CASES if case.is_quick]
AT_ONCE = 3
"""More interpreters that start at once would slow each other down on two cores."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def stage(site: Site) -> Stage:
    return open_stage_on(site)


@pytest.fixture(scope="module")
def results(stage: Stage) -> dict[str, Result]:
    """Played together: a run's start takes longer than all else."""
    return {result.case.name: result for result in play_all(stage, QUICK, AT_ONCE)}


@pytest.mark.parametrize("name", [case.name for case in QUICK])
def test_a_run_ends_as_its_row_says(results: dict[str, Result], name: str) -> None:
    assert not results[name].problems
    assert results[name].seen is not None


def test_the_server_understands_all_that_it_is_told(stage: Stage, results: dict[str, Result]) -> None:
    assert results
    assert bad_calls(stage) == []


@pytest.mark.parametrize("pipeline_type", ["elasticSearchReindex", "dataInsight", "policyAgent"])
def test_a_type_without_code_says_what_to_use(site: Site, pipeline_type: str) -> None:
    name = f"no-{pipeline_type.lower()}"
    site.apply(sites.pipeline(name, pipelineType=pipeline_type))
    ready = wait_for("the condition", lambda: site.condition(name, "Ready"), timeout=30)
    assert (ready["status"], ready["reason"]) == ("False", "UnsupportedPipelineType")
    assert pipeline_type in ready["message"]
    assert ready["message"].endswith("instead")
