from pathlib import Path

import pytest

from testcluster.errors import TestClusterError
from testcluster.locations import Layout, cache


def test_identifier_is_unique_and_fits_a_link_name() -> None:
    first, second = Layout(Path("/src/first")), Layout(Path("/src/second"))

    assert first.identifier != second.identifier
    assert first.identifier == Layout(Path("/src/first")).identifier
    assert len(f"{first.identifier}-h") <= 15


def test_check_refuses_a_path_that_is_too_long_for_sockets() -> None:
    longest = Layout(Path("/" + "x" * 62))
    assert len(str(longest.kubelet / "pod-resources" / "kubelet.sock")) == 107
    longest.check()

    with pytest.raises(TestClusterError, match="shorter path"):
        Layout(Path("/" + "x" * 63)).check()


def test_cache_is_the_named_folder_when_the_variable_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INGESTION_OPERATOR_CACHE", str(tmp_path))
    assert cache() == tmp_path

    monkeypatch.delenv("INGESTION_OPERATOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache() == Path("/elsewhere/ingestion-operator")
