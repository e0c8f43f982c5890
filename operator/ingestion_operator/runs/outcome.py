"""The runner's outcome of a run, from the termination message of its container."""

import json
from dataclasses import dataclass
from sys import intern
from typing import Annotated, Literal

from pydantic import Field

from ingestion_operator.api.base import KubernetesModel

_Count = Annotated[int, Field(ge=0, le=2**53)]


State = Literal["success", "partialSuccess", "failed", "stopped"]


class _Message(KubernetesModel):
    """The termination message, version 1."""

    version: Literal[1]
    state: State
    reason: Annotated[str, Field(max_length=64)]
    message: str = ""
    records: _Count | None = None
    warnings: _Count | None = None
    errors: _Count | None = None
    provisional: bool = False
    reported_by: str = ""


@dataclass(frozen=True, slots=True)
class RunnerOutcome:
    """The outcome that the runner wrote before it exited."""

    state: State
    reason: str
    message: str
    records: int | None
    warnings: int | None
    errors: int | None
    provisional: bool
    reported_by: str
    """Who closed the run's row at the server: `workflow` or `runner`, else another text."""

    @property
    def is_reported(self) -> bool:
        """Whether the server has this end, so that its row need not be read."""
        return self.reported_by in ("workflow", "runner") and not self.provisional


def parse_outcome(message: str | None) -> RunnerOutcome | None:
    """Return the outcome in a termination message; None if there is none, as for a killed container."""
    if not message:
        return None
    try:
        found = _Message.model_validate(json.loads(message))
    except (ValueError, RecursionError):  # a pod may write anything; ValidationError is a ValueError
        return None
    return RunnerOutcome(
        found.state,
        intern(found.reason),
        found.message,
        found.records,
        found.warnings,
        found.errors,
        found.provisional,
        intern(found.reported_by),
    )
