"""A case of the table: a pipeline of some type, what happens to it, and how its run must end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scenarios.types.environment import Environment


@dataclass(frozen=True)
class Seen:
    """What was seen of one run."""

    state: str
    reason: str
    message: str
    seconds: float
    """From the trigger to the end in the pipeline's status, or of a connection test at the server."""
    peak_memory: int | None
    """Bytes, of the workflow's process, as the runner reports; None without a report."""
    log: str


@dataclass(frozen=True)
class Expected:
    """How a run must end."""

    state: str
    reason: str
    words: str = ""
    """Which must be in the message, or after `log:` in the log."""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    """For the command line, and of its pipeline."""
    pipeline_type: str
    source: str
    """For people: what is read."""
    situation: str
    """For people: what is the matter; empty where nothing is."""
    run: "Callable[[Environment, str], Seen]"
    """Runs it under the case's name and returns what was seen."""
    expected: Expected
    check: "Callable[[Environment], None] | None" = None
    """Asserts what the run must have left at the server."""
    needs_catalogue: bool = False
    """Whether the tables of the shop must be known before."""
    is_quick: bool = False
    """Whether `make test` runs it too."""


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    seen: Seen | None
    problems: Sequence[str]


def deviations(expected: Expected, seen: Seen) -> list[str]:
    """Return what is not as expected; empty where all is."""
    problems = []
    if (seen.state, seen.reason) != (expected.state, expected.reason):
        problems.append(f"{seen.state} ({seen.reason}), not {expected.state} ({expected.reason}): {seen.message}")
    in_log, words = expected.words.startswith("log:"), expected.words.removeprefix("log:")
    where, text = ("log", seen.log) if in_log else ("message", seen.message)
    if words not in text:
        problems.append(f"its {where} does not contain {words!r}: {text[-2000:]}")
    return problems
