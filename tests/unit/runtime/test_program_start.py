"""The garbage collector around a program's start."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ingestion_operator.runtime.gc_tuning import gc_paused
from testcluster.locations import CHECKOUT


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_loaded_objects_are_never_collected() -> None:
    with gc_paused():
        assert not gc.isenabled()
        loaded = [{"kept": True}]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is loaded for one in gc.get_objects())


def test_the_collector_works_again_after_a_start_that_failed() -> None:
    with pytest.raises(ImportError), gc_paused():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.parametrize("program", ["ingestion_operator", "ingestion_operator.gateway"])
def test_both_programs_load_that_way(program: str) -> None:
    asked = "gc.isenabled(), gc.get_freeze_count() > 100_000, gc.get_threshold()[0] > 10_000"
    script = f"import gc, {program}.__main__; print({asked})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT / "operator", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True", "True"]
