"""Modules that are executed only when their class is used."""

import gc
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion_runner.workflow.starting import quick_import, remember_package_versions

SOURCE = """
import deferral_log
deferral_log.executed.append(__name__)
ANSWER = 42

class Vault:
    kind = "vault"

    def __init__(self, name):
        self.name = name

class Other:
    pass
"""

USER = """
from deferral_package.vault import Vault

def opened(name) -> Vault:
    return Vault(name)
"""

DEFERRED = {"deferral_package.vault": "Vault"}


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    package = tmp_path / "deferral_package"
    package.mkdir()
    (tmp_path / "deferral_log.py").write_text("executed = []")
    (package / "__init__.py").write_text("")
    (package / "vault.py").write_text(SOURCE)
    (package / "broken.py").write_text("import no_such_module_at_all\nclass Vault: pass")
    (package / "user.py").write_text(USER)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("deferral_log").executed
    gc.unfreeze()
    for name in [name for name in sys.modules if name.startswith("deferral_")]:
        del sys.modules[name]


def user() -> Any:
    with quick_import(DEFERRED):
        return importlib.import_module("deferral_package.user")


def test_a_deferred_module_is_executed_when_its_class_is_called(executed: list[str]) -> None:
    library = user()
    assert executed == []

    vault = library.opened("blue")

    assert executed == ["deferral_package.vault"]
    assert (vault.name, type(vault)) == ("blue", sys.modules["deferral_package.vault"].Vault)


def test_the_stand_in_answers_like_the_class(executed: list[str]) -> None:
    stand_in = user().Vault
    real = importlib.import_module("deferral_package.vault")

    assert stand_in.kind == "vault"
    assert executed == ["deferral_package.vault"]
    assert isinstance(real.Vault("blue"), stand_in)
    assert not isinstance("blue", stand_in)
    assert issubclass(real.Vault, stand_in)


def test_any_other_name_executes_the_module(executed: list[str]) -> None:
    user()

    from deferral_package.vault import (  # type: ignore[import-not-found]  # noqa: PLC0415 - made by the fixture
        ANSWER,
        Other,
    )

    assert (ANSWER, Other.__name__, executed) == (42, "Other", ["deferral_package.vault"])


def test_afterwards_it_is_an_ordinary_module(executed: list[str]) -> None:
    user().opened("blue")

    module = sys.modules["deferral_package.vault"]

    assert type(module) is type(sys)
    assert importlib.reload(module) is module
    assert executed == ["deferral_package.vault"] * 2
    with pytest.raises(AttributeError):
        _ = module.nothing


def test_a_failing_import_is_raised_where_the_class_is_used(executed: list[str]) -> None:
    with quick_import({"deferral_package.broken": "Vault"}):
        stand_in = importlib.import_module("deferral_package.broken").Vault

    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            stand_in("blue")
    assert executed == []


def test_outside_of_the_block_nothing_is_deferred(executed: list[str]) -> None:
    with quick_import(DEFERRED):
        pass

    importlib.import_module("deferral_package.user")

    assert executed == ["deferral_package.vault"]


def test_the_collector_works_again_also_after_a_failure(executed: list[str]) -> None:
    def fail() -> None:
        with quick_import(DEFERRED):
            assert not gc.isenabled()
            importlib.import_module("deferral_package.nowhere")

    with pytest.raises(ModuleNotFoundError):
        fail()

    assert gc.isenabled()
    assert executed == []


def test_a_package_s_description_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def version(name: str) -> str:
        asked.append(name)
        if name == "absent":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(importlib.metadata, "version", version)

    remember_package_versions()
    remember_package_versions()

    assert [importlib.metadata.version("present") for _ in range(3)] == ["1.2"] * 3
    assert asked == ["present"]
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("absent")
