"""The outcomes of a run: states, reasons, and the exit code of each reason."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingestion_runner.masking import Masker


class ExitCode(enum.IntEnum):
    """The exit codes of the runner, which the README explains."""

    SUCCEEDED = 0
    FAILED = 1
    CONFIGURATION = 2
    OUTSIDE_SCHEDULE = 3
    OUT_OF_MEMORY = 137
    INTERRUPTED = 143


class State(enum.StrEnum):
    """The state of a run, as in OpenMetadata."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partialSuccess"
    FAILED = "failed"
    STOPPED = "stopped"


class Reason(enum.StrEnum):
    """Why a run ended as it did. The values are read by the operator and must stay stable."""

    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    OUTSIDE_SCHEDULE = "OutsideSchedule"
    OUT_OF_MEMORY = "OutOfMemory"
    INTERRUPTED = "Interrupted"
    # A retry may succeed: the cause is outside of the Job.
    WORKFLOW_FAILED = "WorkflowFailed"
    WORKFLOW_CRASHED = "WorkflowCrashed"
    INITIALIZATION_FAILED = "InitializationFailed"
    SERVER_UNREACHABLE = "ServerUnreachable"
    SERVER_ERROR = "ServerError"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    CONNECTION_MISSING = "ConnectionMissing"
    # A retry cannot succeed: the cause is the Job's configuration or its image.
    INVALID_CONFIGURATION = "InvalidConfiguration"
    UNSUPPORTED_PIPELINE_TYPE = "UnsupportedPipelineType"
    UNKNOWN_SOURCE_TYPE = "UnknownSourceType"
    MISSING_PLUGIN = "MissingPlugin"
    MISSING_LANGUAGE_MODEL = "MissingLanguageModel"
    VERSION_MISMATCH = "VersionMismatch"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the parent for this reason."""
        return _EXIT_CODES.get(self, ExitCode.FAILED)

    @property
    def retryable(self) -> bool:
        """Whether a retry with the same pod may succeed."""
        return self.exit_code in (ExitCode.FAILED, ExitCode.OUT_OF_MEMORY, ExitCode.INTERRUPTED)


_EXIT_CODES: Mapping[Reason, ExitCode] = {
    Reason.SUCCEEDED: ExitCode.SUCCEEDED,
    Reason.PARTIALLY_SUCCEEDED: ExitCode.SUCCEEDED,
    Reason.OUTSIDE_SCHEDULE: ExitCode.OUTSIDE_SCHEDULE,
    Reason.OUT_OF_MEMORY: ExitCode.OUT_OF_MEMORY,
    Reason.INTERRUPTED: ExitCode.INTERRUPTED,
    Reason.INVALID_CONFIGURATION: ExitCode.CONFIGURATION,
    Reason.UNSUPPORTED_PIPELINE_TYPE: ExitCode.CONFIGURATION,
    Reason.UNKNOWN_SOURCE_TYPE: ExitCode.CONFIGURATION,
    Reason.MISSING_PLUGIN: ExitCode.CONFIGURATION,
    Reason.MISSING_LANGUAGE_MODEL: ExitCode.CONFIGURATION,
    Reason.VERSION_MISMATCH: ExitCode.CONFIGURATION,
}


class RunError(Exception):
    """A run that cannot continue, with its reason and a message of one line."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class ConfigurationError(RunError):
    """The inputs of the pod are invalid. A retry would have the same inputs."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INVALID_CONFIGURATION, message)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    ``steps`` are the workflow's step summaries in the format of OpenMetadata's ``StepSummary``; empty if the workflow
    did not get that far. Counts are None if unknown.
    """

    state: State
    reason: Reason
    message: str
    records: int | None = None
    warnings: int | None = None
    errors: int | None = None
    first_failure: Mapping[str, str] | None = None
    steps: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def failed(cls, reason: Reason, message: str) -> "Outcome":
        """Return the outcome of a run that failed before the workflow counted anything."""
        return cls(state=State.FAILED, reason=reason, message=message)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Outcome":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError, KeyError: The data is not an outcome.
        """
        return cls(
            state=State(data["state"]),
            reason=Reason(data["reason"]),
            message=str(data["message"]),
            records=data.get("records"),
            warnings=data.get("warnings"),
            errors=data.get("errors"),
            first_failure=data.get("firstFailure"),
            steps=tuple(data.get("steps") or ()),
        )

    def masked(self, masker: Masker) -> "Outcome":
        """Return the outcome with masked secrets."""
        return replace(
            self,
            message=masker(self.message),
            first_failure=masker.mask_values(self.first_failure),
            steps=tuple(masker.mask_values(self.steps)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the outcome in the format of the channel."""
        return {
            "state": self.state,
            "reason": self.reason,
            "retryable": self.reason.retryable,
            "message": self.message,
            "records": self.records,
            "warnings": self.warnings,
            "errors": self.errors,
            "firstFailure": self.first_failure,
            "steps": list(self.steps),
        }
