"""How an operator of a case's own is installed and found."""

from pathlib import Path

import pytest

from tests.scenarios.faults.environment import with_namespace
from tests.scenarios.faults.target import first_process


def process(folder: Path, number: int, *, cgroup: str, own_numbers: str) -> None:
    (folder / str(number)).mkdir()
    (folder / str(number) / "cgroup").write_text(f"5:memory:/kubepods/{cgroup}\n")
    (folder / str(number) / "status").write_text(f"Name:\tpython\nNSpid:\t{own_numbers}\n")


def test_process_1_of_a_container_is_found_among_all(tmp_path: Path) -> None:
    process(tmp_path, 41, cgroup="other", own_numbers="41\t1")
    process(tmp_path, 42, cgroup="abc", own_numbers="42\t7")
    process(tmp_path, 43, cgroup="abc", own_numbers="43\t1")
    (tmp_path / "44").mkdir()  # it has ended meanwhile
    (tmp_path / "self").mkdir()
    assert first_process("abc", tmp_path) == 43
    with pytest.raises(AssertionError, match="no process of container gone"):
        first_process("gone", tmp_path)


def test_an_object_of_a_release_keeps_the_namespace_it_names() -> None:
    assert with_namespace({"metadata": {"name": "a"}}, "n")["metadata"] == {"name": "a", "namespace": "n"}
    assert with_namespace({"metadata": {"name": "a", "namespace": "b"}}, "n")["metadata"]["namespace"] == "b"
