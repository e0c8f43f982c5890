"""The runner's own account of a run: the termination message of its container."""

import json
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ingestion_operator.models.base import KubernetesModel


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
    records: int | None = None
    warnings: int | None = None
    errors: int | None = None
    first_failure: FirstFailure | None = None
    provisional: bool = False


def parse_outcome(message: str | None) -> RunnerOutcome | None:
    """Return the outcome in a termination message, or None where there is none (a killed container)."""
    if not message:
        return None
    try:
        return RunnerOutcome.model_validate(json.loads(message))
    except (ValueError, ValidationError):
        return None
