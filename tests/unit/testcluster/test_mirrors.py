from pathlib import Path

import pytest

from testcluster import mirrors
from testcluster.errors import TestClusterError


def test_find_reads_a_deb822_paragraph(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(
        "Types: deb\n# a snapshot\nURIs: http://first.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main\n"
        "\nTypes: deb-src\nURIs: http://sources.example/debian\nSuites: trixie\n"
    )

    assert mirrors.find("bookworm", tmp_path) == "http://first.example/debian"
    assert mirrors.find("bookworm-updates", tmp_path) == "http://first.example/debian"
    with pytest.raises(TestClusterError, match="no Debian mirror with the suite trixie"):
        mirrors.find("trixie", tmp_path)


def test_find_reads_one_line_entries_with_and_without_options(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb-src http://sources.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/x.gpg] http://second.example/debian bookworm main\n"
        "deb http://third.example/debian trixie main contrib\n"
    )

    assert mirrors.find("bookworm", tmp_path) == "http://second.example/debian"
    assert mirrors.find("trixie", tmp_path) == "http://third.example/debian"


def test_find_passes_over_disabled_entries_and_files_apt_ignores(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a.sources").write_text("Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\n")
    (folder / "b.list.disabled").write_text("deb http://ignored.example bookworm main\n")

    with pytest.raises(TestClusterError):
        mirrors.find("bookworm", tmp_path)
