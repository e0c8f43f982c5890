import os

import pytest

from testcluster import prerequisites
from testcluster.commands import find
from testcluster.errors import TestClusterError
from testcluster.prerequisites import Package

ABSENT = (
    Package("one", lambda: False),
    Package("two", lambda: True),
    Package("three", lambda: False),
)


def test_check_names_everything_missing_in_one_command() -> None:
    with pytest.raises(TestClusterError, match="apt-get install -y --no-install-recommends one three") as caught:
        prerequisites.check(ABSENT, root=False)

    assert str(caught.value).count("apt-get update") == 1


def test_check_is_silent_when_all_is_there() -> None:
    prerequisites.check(ABSENT[1:2], root=False)


def test_check_asks_for_root_when_the_user_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(TestClusterError, match="root is needed"):
        prerequisites.check((), root=True)


def test_find_sees_system_folders_when_the_path_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")

    assert find("nologin") == "/usr/sbin/nologin"
