"""Gauges that are read when Prometheus asks: what the statuses of all pipelines say, and how old the cache may be."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.ports import Kind
from ingestion_operator.runs.jobs import PipelineKey


@dataclass(frozen=True)
class _Seen:
    """What the gauges need of a pipeline."""

    is_ready: bool
    reason: str
    queued: int
    running: int
    unreported: int
    has_missed: bool
    last_success: datetime | None
    next_schedule: datetime | None


class WatchAges(Collector):
    """How old the cache may be."""

    def __init__(self, ages: Callable[[], Mapping[tuple[Kind, str], float]]) -> None:
        self._ages = ages

    def collect(self) -> Iterable[Metric]:
        """Return the age of each watch."""
        family = GaugeMetricFamily(
            "ingestion_operator_watch_age_seconds",
            "Since a list or watch last brought something, bookmarks too.",
            labels=["resource", "scope"],
        )
        for (kind, scope), seconds in self._ages().items():
            family.add_metric([kind.plural, scope or "all"], seconds)
        yield family


class PipelineGauges(Collector):
    """Gauges over all pipelines."""

    def __init__(self) -> None:
        self.exists: Callable[[PipelineKey], bool] = lambda _: True
        self._seen: dict[PipelineKey, _Seen] = {}
        self._lock = Lock()

    def remember(self, key: PipelineKey, status: PipelineStatus) -> None:
        """Take what a pipeline's status is now."""
        seen = _seen(status)
        with self._lock:
            self._seen[key] = seen

    def collect(self) -> Iterable[Metric]:
        """Return all gauges."""
        with self._lock:
            # A reconciliation that ended after its pipeline's end has added it again: so the cache is asked here.
            self._seen = {key: seen for key, seen in self._seen.items() if self.exists(key)}
            seen = dict(self._seen)
        yield _by_readiness(seen.values())
        active = GaugeMetricFamily("ingestion_runs_active", "Runs that have not ended.", labels=["state"])
        active.add_metric(["queued"], sum(one.queued for one in seen.values()))
        active.add_metric(["running"], sum(one.running for one in seen.values()))
        yield active
        pending = GaugeMetricFamily("ingestion_reports_pending", "Ended runs that OpenMetadata is still to be told of.")
        pending.add_metric([], sum(one.unreported for one in seen.values()))
        yield pending
        yield _by_pipeline(
            seen, "ingestion_pipeline_last_success_timestamp_seconds", "When a run last succeeded.", _last_success
        )
        yield _by_pipeline(
            seen, "ingestion_pipeline_next_schedule_timestamp_seconds", "When the next run is due.", _next_schedule
        )
        yield _by_pipeline(
            seen, "ingestion_pipeline_missed_schedule", "1 while the last tick has started no run.", _has_missed
        )


def _by_readiness(seen: Collection[_Seen]) -> Metric:
    family = GaugeMetricFamily("ingestion_pipelines", "Pipelines, by Ready and its reason.", labels=["ready", "reason"])
    groups: dict[tuple[bool, str], int] = {}
    for one in seen:
        groups[one.is_ready, one.reason] = groups.get((one.is_ready, one.reason), 0) + 1
    for (is_ready, reason), count in sorted(groups.items()):
        family.add_metric([str(is_ready).lower(), reason], count)
    return family


def _by_pipeline(
    seen: dict[PipelineKey, _Seen], name: str, text: str, value: Callable[[_Seen], float | None]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["namespace", "pipeline"])
    for key, one in seen.items():
        if (number := value(one)) is not None:
            family.add_metric([key.namespace, key.name], number)
    return family


def _last_success(seen: _Seen) -> float | None:
    return seen.last_success.timestamp() if seen.last_success else None


def _next_schedule(seen: _Seen) -> float | None:
    return seen.next_schedule.timestamp() if seen.next_schedule else None


def _has_missed(seen: _Seen) -> float | None:
    return float(seen.has_missed) if seen.next_schedule else None


def _seen(status: PipelineStatus) -> _Seen:
    conditions = {condition.type: condition for condition in status.conditions}
    ready, scheduled = conditions.get("Ready"), conditions.get("Scheduled")
    return _Seen(
        is_ready=ready is not None and ready.status == "True",
        reason=ready.reason if ready is not None else "Unknown",
        queued=status.queued or 0,
        running=status.active or 0,
        unreported=sum(run.is_unreported for run in status.runs),
        has_missed=scheduled is not None and scheduled.reason == "MissedSchedule",
        last_success=status.last_successful_time,
        next_schedule=status.next_schedule_time,
    )
