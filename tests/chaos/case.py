"""A row of the matrix: a fault, and how a run must end that it meets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.scene import Scene
from tests.chaos.story import Story
from tests.chaos.verdict import Expected, deviations

SETTLE_SECONDS = 180.0


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    """For the command line, and the beginning of the names of its pipelines; at most 40 characters."""
    fault: str
    """For people."""
    act: Callable[[Scene], None]
    """Starts runs and disturbs them; returns when nothing is disturbed any more."""
    expected: Expected
    is_alone: bool = False
    """Whether it disturbs what other rows need."""
    is_timed: bool = True
    """Whether operator, API server and OpenMetadata are all up when the run ends."""


@dataclass(frozen=True)
class Result:
    """What came of a row in one round."""

    row: Row
    round: int
    stories: Sequence[tuple[Expected, Story]] = ()
    problems: Sequence[str] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def has_passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems


def problems_of(stories: Sequence[tuple[Expected, Story]]) -> list[str]:
    """Return what is not as expected in any of the runs."""
    return [f"{story.pipeline}: {words}" for expected, story in stories for words in deviations(expected, story)]
