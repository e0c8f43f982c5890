"""The version has one source; every other place has the same one, and the package carries it."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from ingestion_operator import __version__
from tools.version import PLACES, ROOT, outdated

LOCKS = {".lock", ".mod", ".sum", ".md"}
"""Suffixes of files with versions of other software, and of prose that may name past versions."""


def test_the_version_can_be_written_by_helm_and_python_alike() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_every_place_has_the_version_of_the_package() -> None:
    assert [str(path) for path in outdated(ROOT, __version__)] == [], "run: python -m tools.version"


def test_a_new_version_is_written_to_every_place(tmp_path: Path) -> None:
    for name in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)

    texts = outdated(tmp_path, "97.98.99")

    assert {str(path.relative_to(tmp_path)) for path in texts} == set(PLACES)
    for path, text in texts.items():
        path.write_text(text)
    assert outdated(tmp_path, "97.98.99") == {}


def test_a_place_that_was_moved_is_reported(tmp_path: Path) -> None:
    for name in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("nothing here\n")

    with pytest.raises(ValueError, match="has no version where"):
        outdated(tmp_path, __version__)


def test_no_other_file_repeats_the_version() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = set(listed.splitlines()) - set(PLACES) - {"operator/ingestion_operator/__init__.py"}
    paths = [ROOT / name for name in names if "locks/" not in name and Path(name).suffix not in LOCKS]
    pattern = re.compile(rf"(?<![\w.]){re.escape(__version__)}(?![\w.])".encode())

    assert [path for path in paths if path.is_file() and pattern.search(path.read_bytes())] == []


def test_the_package_carries_the_version_and_its_type_hints(tmp_path: Path) -> None:
    wheel = next(iter(WheelBuilder(str(ROOT)).build(directory=str(tmp_path))))

    assert Path(wheel).name == f"ingestion_operator-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as content:
        assert "ingestion_operator/py.typed" in content.namelist()
