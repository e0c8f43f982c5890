"""The git hooks run the steps of `make lint`, all of them and no others."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_hooks_run_what_make_lint_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]

    assert hooks == lint_steps((ROOT / "Makefile").read_text())


def lint_steps(makefile: str) -> list[str]:
    """Return the commands of the target `lint`, without what handles their output."""
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    lines = [line.strip().removeprefix("@") for line in recipe[1].splitlines()]
    commands = [re.split(r" (?:\|\||>) ", line)[0] for line in lines]
    return [command.replace("$(VENV)", ".venv").replace("$(PYTHON)", ".venv/bin/python") for command in commands]
