"""Running cases on an environment: first those that need nothing, the catalogue among them, then the others."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from testcluster.errors import TestClusterError
from testcluster.progress import show, step
from testing.fake_openmetadata_client import FakeServerError
from tests.scenarios.types.case import Case, Result, deviations
from tests.scenarios.types.environment import Environment


def run(environment: Environment, case: Case) -> Result:
    """Run a case; whatever goes wrong is in the result."""
    seen = None
    with step(f"{case.name}: {case.pipeline_type}, {case.source}{f', {case.situation}' if case.situation else ''}"):
        try:
            seen = case.run(environment, case.name)
            problems = deviations(case.expected, seen)
            if case.check is not None and not problems:
                case.check(environment)
        except (
            AssertionError,
            TestClusterError,
            FakeServerError,
            HTTPException,
            OSError,
            LookupError,
            ValueError,
        ) as error:
            problems = [f"{type(error).__name__}: {error}"]
    for problem in problems:
        show(f"  {case.name}: {problem}")
    return Result(case, seen, problems)


def run_all(environment: Environment, cases: Sequence[Case], at_once: int) -> list[Result]:
    """Run cases, so many at once; return the results in the order of the cases."""
    results: dict[str, Result] = {}
    for needs_catalogue in (False, True):
        these = [case for case in cases if case.needs_catalogue is needs_catalogue]
        with ThreadPoolExecutor(at_once) as pool:
            results |= {result.case.name: result for result in pool.map(lambda case: run(environment, case), these)}
    return [results[case.name] for case in cases]


def bad_calls(environment: Environment) -> list[str]:
    """Return the calls since the start that the server's models do not accept, or that it does not know."""
    fake_server = environment.installation.fake_server
    return [
        f"{call['method']} {call['path']}: {call['status']} {call['invalid'] or 'unknown to the fake server'}"
        for call in (*fake_server.calls(invalid=True), *fake_server.calls(unknown=True))
    ]
