"""What came of reports; data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ingestion_operator.api.status import Report


@dataclass(frozen=True, slots=True)
class ReportBlocker:
    """What keeps reports from OpenMetadata; the message stays the same as long as the cause does."""

    message: str
    needs_action: bool
    """Whether it stays until a person acts."""


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What came of the reports that are due."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    """By run id: what is settled now."""
    blocker: ReportBlocker | None = None
    requeue_at: datetime | None = None
    """When to try again though nothing happens; None if the circuit breaker enqueues the pipeline."""
