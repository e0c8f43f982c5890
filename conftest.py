"""The little order that there is: everything else is shuffled by pytest-randomly.

`make test` has two workers: one plays all that shares the cluster, the other what needs none.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent / "tests"
INSTALL = TESTS / "e2e" / "install"
"""First: it takes the definition away, and with it all pipelines of the cluster."""

E2E = TESTS / "e2e"
LOOKING_BACK = {E2E / "test_rights.py", E2E / "test_dashboard.py"}
"""Last: they look back on all that the suite has done, and say nothing about a part of it."""


ON_THE_CLUSTER = (TESTS / "integration" / "apiserver", TESTS / "e2e")
"""For one worker, one test after the other: the definition, and what the audit log counts, belong to all."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Answer pytest-xdist, whose own groups need node ids to be written to, which pytest 9.2 does not do."""
    from testing.workers import ClusterOnOneWorker  # noqa: PLC0415  the runner's environment has no pytest-xdist

    return ClusterOnOneWorker(config, log, [folder.relative_to(TESTS.parent) for folder in ON_THE_CLUSTER])


@pytest.hookimpl(trylast=True)  # after the choice of tests by -k
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests."""
    if config.option.keyword or not {item.path for item in items} >= set(E2E.glob("test_*.py")):
        config.hook.pytest_deselected(items=[item for item in items if item.path in LOOKING_BACK])
        items[:] = [item for item in items if item.path not in LOOKING_BACK]
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.is_relative_to(INSTALL):
        return 0
    return 2 if item.path in LOOKING_BACK else 1
