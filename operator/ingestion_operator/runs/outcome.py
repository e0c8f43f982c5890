"""The runner's own account of a run: the termination message of its container."""

import json
from typing import Annotated, Literal

from pydantic import Field

from ingestion_operator.models.base import KubernetesModel

_Count = Annotated[int, Field(ge=0, le=2**53)]


class FirstFailure(KubernetesModel):
    """The first entity that failed."""

    name: str = ""
    error: str = ""


class RunnerOutcome(KubernetesModel):
    """What the runner wrote before it ended."""

    version: Literal[1]
    state: Literal["success", "partialSuccess", "failed", "stopped"]
    reason: Annotated[str, Field(max_length=64)]
    message: str = ""
    records: _Count | None = None
    warnings: _Count | None = None
    errors: _Count | None = None
    first_failure: FirstFailure | None = None
    provisional: bool = False
    reported_by: str = "nobody"
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
        return RunnerOutcome.model_validate(json.loads(message))
    except (ValueError, RecursionError):  # a pod may write anything; ValidationError is a ValueError
        return None
