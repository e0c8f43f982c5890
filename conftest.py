"""The little order that there is: everything else is shuffled by pytest-randomly.

`make test` has two workers: one runs all tests on the cluster, the other those that need none.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent / "tests"
INSTALL = TESTS / "e2e" / "install"
"""First: it deletes the CRD, and with it all pipelines of the cluster."""

E2E = TESTS / "e2e"
AFTER_ALL = {E2E / "test_permissions.py", E2E / "test_dashboard.py"}
"""Last: they check what the whole suite has done, and cannot check a part of it."""


ON_THE_CLUSTER = (TESTS / "integration" / "apiserver", TESTS / "e2e")
"""For one worker, one test after the other: all tests share the CRD and the audit log."""


LEVELS = ("tests/unit", "tests/component", "tests/integration", "tests/e2e", "runner-image/tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many seconds the tests of each level took, fixtures included."""
    seconds = dict.fromkeys(LEVELS, 0.0)
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            for level in LEVELS:
                seconds[level] += report.duration if report.nodeid.startswith(f"{level}/") else 0
    if len([level for level in LEVELS if seconds[level]]) > 1:
        terminalreporter.section("seconds of each level")
        for level in LEVELS:
            terminalreporter.write_line(f"{seconds[level]:8.0f} {level}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests that are coroutines run in asyncio, as the programs do."""
    return "asyncio"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Answer pytest-xdist, whose own groups need node ids to be written to, which pytest 9.2 does not do."""
    from testing.workers import ClusterOnOneWorker  # noqa: PLC0415  the runner's environment has no pytest-xdist

    return ClusterOnOneWorker(config, log, [folder.relative_to(TESTS.parent) for folder in ON_THE_CLUSTER])


@pytest.hookimpl(trylast=True)  # after the choice of tests by -k
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests."""
    if config.option.keyword or not {item.path for item in items} >= set(E2E.glob("test_*.py")):
        config.hook.pytest_deselected(items=[item for item in items if item.path in AFTER_ALL])
        items[:] = [item for item in items if item.path not in AFTER_ALL]
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.is_relative_to(INSTALL):
        return 0
    return 2 if item.path in AFTER_ALL else 1
