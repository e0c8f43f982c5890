"""Rules about the code itself that are easy to break without noticing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "operator"
MODULES = sorted(SOURCES.rglob("*.py"))
SHARED = {"testing", "testcluster"}
PROGRAMS = {"tools", "benchmarks"}
FOLDERS = (*sorted(SHARED | PROGRAMS), "tests", "operator", "runner-image")
"""Every folder with Python of ours."""

OF_PROGRAMS = tuple(ROOT / "tests" / folder for folder in ("unit/tools", "unit/benchmarks", "integration/helm"))
"""The tests of tools and benchmarks; the chart's are those of its generators."""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, input="{}", capture_output=True, text=True, check=False
    )


def test_the_source_root_is_not_a_package() -> None:
    assert not (SOURCES / "__init__.py").exists()


@pytest.mark.parametrize("module", ["json.tool", "collections", "pytest"])
def test_python_starts_at_the_root_of_the_checkout(module: str) -> None:
    done = _run("-m", module, "--version") if module == "pytest" else _run("-m", module)
    assert done.returncode == 0 or "cannot be directly executed" in done.stderr, done.stderr
    assert "ImportError" not in done.stderr


def test_the_operator_module_is_the_standard_librarys() -> None:
    done = _run("-c", "import operator; print(operator.__file__, operator.eq(1, 1))")
    assert str(ROOT) not in done.stdout
    assert done.stdout.strip().endswith("True")


def test_no_module_is_longer_than_350_lines() -> None:
    assert [path for path in _modules(*FOLDERS) if len(path.read_text().splitlines()) > 350] == []


def test_no_module_has_a_meaningless_name() -> None:
    nothing = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert [path for path in MODULES if path.stem in nothing or path.parent.name in nothing] == []


def test_pure_modules_use_neither_clock_nor_io() -> None:
    pure = ["api", "k8s", "render", "runs"]
    outside = {"os", "time", "threading", "asyncio", "socket", "subprocess", "urllib3", "logging", "random"}
    for path in MODULES:
        if path.relative_to(SOURCES / "ingestion_operator").parts[0].removesuffix(".py") in pure:
            assert not _imports(path) & outside, path
            assert ".now(" not in path.read_text(), path


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("tools", {"tools", *SHARED}),
        ("benchmarks", {"benchmarks", *SHARED}),
        ("testing", SHARED),
        ("testcluster", {"testcluster"}),
    ],
)
def test_folders_import_the_shared_ones_and_no_others(folder: str, allowed: set[str]) -> None:
    others = SHARED | PROGRAMS | {"tests"}
    found = {path: _imports(path) & others - allowed for path in _modules(folder)}
    assert {path: names for path, names in found.items() if names} == {}


def test_only_their_own_tests_import_tools_and_benchmarks() -> None:
    importers = [path for path in _modules("tests", "runner-image") if _imports(path) & PROGRAMS]
    assert [path for path in importers if not any(path.is_relative_to(folder) for folder in OF_PROGRAMS)] == []


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
