"""A case of the matrix: a fault, how the runs that it meets must end, and how soon the operator is able again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.scenarios.faults.observation import Observation
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import SUCCESS, Counts, Expected, deviations

SETTLE_SECONDS = 180.0
ABLE_SECONDS = 30.0

Place = Literal["shared", "exclusive", "own"]
"""Where a case runs: on the shared installation beside others, there alone, or on an installation of its own."""


@dataclass(frozen=True)
class Setup:
    """How the installation of a case differs from the chart's defaults."""

    replicas: int = 1
    watched: tuple[str, ...] = ()
    """Ends of the names of further namespaces that the operator watches instead of its own."""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One fault."""

    name: str
    """For the command line, and the beginning of the names of its pipelines; at most 40 characters."""
    fault: str
    """For people."""
    act: Callable[[Trial], None]
    """Starts runs and disturbs them; returns when nothing is disturbed any more."""
    expected: Expected = SUCCESS
    able_within: float = ABLE_SECONDS
    """Seconds after the fault within which a pipeline that is created then is Ready, and an unfinished run listed."""
    place: Place = "shared"
    setup: Setup = Setup()
    is_timed: bool = True
    """Whether operator, API server and OpenMetadata are all up when the run ends."""
    most_restarts: int | None = None
    """How often the operator's container may have started again; None where the case itself ends it."""
    about_seconds: float = 75
    """How long it takes on two cores, about: the longest begin first."""


@dataclass(frozen=True)
class Result:
    """What a case led to in one round."""

    case: Case
    round: int
    observations: Sequence[tuple[Expected, Observation]] = ()
    problems: Sequence[str] = ()
    counts: Counts = field(default_factory=Counts)
    able_seconds: float | None = None
    """After how many seconds a new pipeline was Ready; the longest, where there were several."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def has_passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems and not self.counts


def problems_of(case: Case, observations: Sequence[tuple[Expected, Observation]]) -> list[str]:
    """Return what is not as expected in any of the runs."""
    found = [f"{seen.pipeline}: {words}" for expected, seen in observations for words in deviations(expected, seen)]
    for _, seen in observations:
        if seen.hidden_seconds > case.able_within:
            found.append(
                f"{seen.pipeline}: for {seen.hidden_seconds:.0f} s no list of the status had run {seen.run_id}"
            )
        if case.place == "own" and seen.container_ended_at and (seen.to_record_ms or 0) > 1000 * case.able_within:
            found.append(f"{seen.pipeline}: the end was recorded after {seen.to_record_ms:.0f} ms")
    return found
