"""Whether a run ended as its case expects, and whether it was lost, doubled or hidden; pure functions."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from ingestion_operator.api.status import FINISHED_STATES
from tests.scenarios.faults.observation import Observation


@dataclass(frozen=True)
class Expected:
    """How a run must end, in its pipeline's status and at the server."""

    state: str
    reasons: tuple[str, ...]
    """Any of them, where two ends are equally true."""
    reporters: tuple[str, ...] = ("workflow",)
    """Which programs may have closed the row at the server."""
    most_rows: int = 1
    """How many terminal rows may have been written: more than 1 where the runner's provisional ones are replaced."""
    message: str = ""
    """Words of the record's message."""
    log: str = ""
    """Words of the archived log; empty where no container has run."""
    corrected: tuple[tuple[str, str], ...] = ()
    """Ends (state, reason) that the record had before this one, where a later report of the run itself counts more."""


SUCCESS = Expected("success", ("Succeeded",))


@dataclass(frozen=True)
class Counts:
    """How often what must never happen has happened; docs/operations/fault-matrix.md defines each."""

    lost: int = 0
    doubled: int = 0
    hidden: int = 0
    deaf: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the sums."""
        mine, theirs = asdict(self), asdict(other)
        return type(self)(**{key: mine[key] + theirs[key] for key in mine})

    def __bool__(self) -> bool:
        """Whether anything has happened."""
        return any(asdict(self).values())


def deviations(expected: Expected, seen: Observation) -> list[str]:
    """Return what is not as expected, in words; empty for a run that ended right."""
    if seen.record is None:
        return ["the run is in no status"]
    message, log = str(seen.record.get("message", "")), seen.log
    reported = str((seen.row or {}).get("state"))
    checks = {
        f"state {seen.state}, not {expected.state}": seen.state == expected.state,
        f"reason {seen.reason}, not {' or '.join(expected.reasons)}": seen.reason in expected.reasons,
        f"{expected.message!r} is not in the message {message!r}": expected.message in message,
        f"{expected.log!r} is not in the archived log, which ends with {log[-200:]!r}": expected.log in log,
        f"the server has {reported}": reported == expected.state,
        f"the row was closed by {seen.reporter or 'no program'}, not {' or '.join(expected.reporters)}": seen.reporter
        in expected.reporters,
        f"report is {seen.record.get('report')}, not Done": seen.record.get("report") == "Done" or not seen.is_listed,
        f"the record of the ended run had the ends {list(seen.ends)}": tuple(seen.ends[:-1]) == expected.corrected,
        f"{len(seen.terminal_rows)} terminal rows {seen.terminal_rows}, Jobs {list(seen.jobs)}, pods at the same time "
        f"{list(seen.overlapping_pods)}": not is_doubled(expected, seen),
    }
    return [words for words, holds in checks.items() if not holds]


def is_lost(seen: Observation) -> bool:
    """Return whether a run that the API server had has no end in its pipeline's status, or none at the server."""
    reported = (seen.row or {}).get("row", {}).get("pipelineState")
    return seen.state not in FINISHED_STATES or reported not in FINISHED_STATES


def is_doubled(expected: Expected, seen: Observation) -> bool:
    """Return whether a run had more ends at the server than its case allows, two Jobs, or two pods at once."""
    return len(seen.terminal_rows) > expected.most_rows or len(seen.jobs) > 1 or bool(seen.overlapping_pods)


def is_hidden(bound: float, seen: Observation) -> bool:
    """Return whether a run worked or waited for more than `bound` seconds and no list of the status had it."""
    return seen.hidden_seconds > bound


def count(observations: Iterable[tuple[Expected, Observation]], *, bound: float) -> Counts:
    """Return how many runs are lost, doubled and hidden; `bound` is the case's, in seconds."""
    all_of_them = list(observations)
    return Counts(
        lost=sum(is_lost(seen) for _, seen in all_of_them),
        doubled=sum(is_doubled(*one) for one in all_of_them),
        hidden=sum(is_hidden(bound, seen) for _, seen in all_of_them),
    )
