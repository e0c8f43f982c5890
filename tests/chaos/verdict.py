"""Whether a run ended as its row of the matrix says; pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from ingestion_operator.models.status import FINISHED_STATES
from tests.chaos.story import Story


@dataclass(frozen=True)
class Expected:
    """How a run must end, and what everybody must have been told of it."""

    state: str
    reasons: tuple[str, ...]
    """Any of them, where two ends are equally true."""
    tellers: tuple[str, ...] = ("workflow",)
    """Who may have closed the row at the server."""
    most_rows: int = 1
    """How many terminal rows may have been written: 2 where the parent's provisional one is replaced."""
    message: str = ""
    """Words of the record's message."""
    log: str = ""
    """Words of the archived log; empty where no container has run."""
    corrected: tuple[tuple[str, str], ...] = ()
    """Ends (state, reason) that the record had before this one, where a later word of the run counts more."""


SUCCESS = Expected("success", ("Succeeded",))


def deviations(expected: Expected, story: Story) -> list[str]:
    """Return what is not as expected, in words; empty for a run that ended right."""
    if story.record is None:
        return ["the run is in no status"]
    message, log = str(story.record.get("message", "")), story.log
    told = str((story.row or {}).get("state"))
    checks = {
        f"state {story.state}, not {expected.state}": story.state == expected.state,
        f"reason {story.reason}, not {' or '.join(expected.reasons)}": story.reason in expected.reasons,
        f"{expected.message!r} is not in the message {message!r}": expected.message in message,
        f"{expected.log!r} is not in the archived log, which ends with {log[-200:]!r}": expected.log in log,
        f"the server was told {told}": told == expected.state,
        f"the row was closed by {story.teller or 'nobody'}, not {' or '.join(expected.tellers)}": story.teller
        in expected.tellers,
        f"report is {story.record.get('report')}, not Done": story.record.get("report") == "Done",
        f"the record of the ended run had the ends {list(story.ends)}": tuple(story.ends[:-1]) == expected.corrected,
        f"{len(story.terminal_rows)} terminal rows: {story.terminal_rows}": not is_doubled(expected, story),
    }
    return [words for words, holds in checks.items() if not holds]


def is_lost(story: Story) -> bool:
    """Tell whether a run that the API server saw has no end in its pipeline's status, or none at the server."""
    told = (story.row or {}).get("row", {}).get("pipelineState")
    return story.state not in FINISHED_STATES or told not in FINISHED_STATES


def is_doubled(expected: Expected, story: Story) -> bool:
    """Tell whether the server was told more ends than D11 allows, or two Jobs carried the run."""
    return len(story.terminal_rows) > expected.most_rows or len(story.jobs) > 1


def count(stories: Iterable[tuple[Expected, Story]]) -> tuple[int, int]:
    """Return how many runs are lost, and how many are doubled."""
    all_of_them = list(stories)
    return sum(is_lost(story) for _, story in all_of_them), sum(is_doubled(*one) for one in all_of_them)
