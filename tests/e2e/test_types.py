"""A success of each pipeline type, and the failures that differ: the quick half of `make test-types`."""

import pytest

from testing import installation as installations
from testing.installation import Installation
from testing.waiting import wait_for
from tests.scenarios.types.case import Result
from tests.scenarios.types.cases import CASES
from tests.scenarios.types.environment import Environment, open_environment
from tests.scenarios.types.execution import bad_calls, run_all

QUICK = [case for case in CASES if case.is_quick]
AT_ONCE = 3
"""More interpreters that start at once would slow each other down on two cores."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def environment(installation: Installation) -> Environment:
    return open_environment(installation)


@pytest.fixture(scope="module")
def results(environment: Environment) -> dict[str, Result]:
    """Run together: a run's start takes longer than all else."""
    return {result.case.name: result for result in run_all(environment, QUICK, AT_ONCE)}


@pytest.mark.parametrize("name", [case.name for case in QUICK])
def test_a_run_ends_as_its_case_expects(results: dict[str, Result], name: str) -> None:
    assert not results[name].problems
    assert results[name].seen is not None


def test_the_server_understands_every_call(environment: Environment, results: dict[str, Result]) -> None:
    assert results
    assert bad_calls(environment) == []


@pytest.mark.parametrize("pipeline_type", ["elasticSearchReindex", "dataInsight", "policyAgent"])
def test_a_type_without_code_names_the_alternative(installation: Installation, pipeline_type: str) -> None:
    name = f"no-{pipeline_type.lower()}"
    installation.apply(installations.pipeline(name, pipelineType=pipeline_type))
    ready = wait_for("the condition", lambda: installation.condition(name, "Ready"), timeout=30)
    assert (ready["status"], ready["reason"]) == ("False", "UnsupportedPipelineType")
    assert pipeline_type in ready["message"]
    assert ready["message"].endswith("instead")
