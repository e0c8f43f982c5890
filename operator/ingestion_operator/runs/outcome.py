"""The runner's own account of a run: the termination message of its container."""

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
    reported_by: str = "nobody"


@dataclass(frozen=True, slots=True)
class RunnerOutcome:
    """What the runner wrote before it ended."""

    state: State
    reason: str
    message: str
    records: int | None
    warnings: int | None
    errors: int | None
    provisional: bool
    reported_by: str
    """Who closed the run's row at the server: workflow or runner, which has read it after the workflow's end."""

    @property
    def is_told(self) -> bool:
        """Whether the server has this very end, so that it need not be read again."""
        return self.reported_by in ("workflow", "runner") and not self.provisional


def parse_outcome(message: str | None) -> RunnerOutcome | None:
    """Return the outcome in a termination message, or None where there is none (a killed container)."""
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
