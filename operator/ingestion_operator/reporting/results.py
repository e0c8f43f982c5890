"""Results of reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ingestion_operator.api.status import Report


@dataclass(frozen=True, slots=True)
class ReportBlocker:
    """The cause that prevents reports to OpenMetadata; the message changes only with the cause."""

    message: str
    needs_action: bool
    """Whether a user must act to remove the cause."""


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The result of one attempt to send the due reports."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    """Final results, by run id."""
    blocker: ReportBlocker | None = None
    requeue_at: datetime | None = None
    """When to retry without an event; None if the circuit breaker enqueues the pipeline."""
