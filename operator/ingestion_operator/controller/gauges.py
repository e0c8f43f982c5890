"""Gauges that are computed at a scrape: from the statuses of all pipelines and from the age of the cache."""

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
class _Snapshot:
    """The fields of a pipeline's status that the gauges need."""

    is_ready: bool
    reason: str
    queued: int
    running: int
    unreported: int
    has_missed: bool
    last_success: datetime | None
    next_schedule: datetime | None


class WatchAges(Collector):
    """The age of the cache."""

    def __init__(self, ages: Callable[[], Mapping[tuple[Kind, str], float]]) -> None:
        self._ages = ages

    def collect(self) -> Iterable[Metric]:
        """Return the age of each watch."""
        family = GaugeMetricFamily(
            "ingestion_operator_watch_age_seconds",
            "Seconds since the last data of a list or watch, bookmarks included.",
            labels=["resource", "scope"],
        )
        for (kind, scope), seconds in self._ages().items():
            family.add_metric([kind.plural, scope or "all"], seconds)
        yield family


class PipelineGauges(Collector):
    """Gauges over all pipelines."""

    def __init__(self) -> None:
        self.exists: Callable[[PipelineKey], bool] = lambda _: True
        self._snapshots: dict[PipelineKey, _Snapshot] = {}
        self._lock = Lock()

    def remember(self, key: PipelineKey, status: PipelineStatus) -> None:
        """Record a pipeline's current status."""
        snapshot = _snapshot(status)
        with self._lock:
            self._snapshots[key] = snapshot

    def collect(self) -> Iterable[Metric]:
        """Return all gauges."""
        with self._lock:
            # A reconciliation that ended after the deletion of its pipeline has added it again.
            self._snapshots = {key: one for key, one in self._snapshots.items() if self.exists(key)}
            snapshots = dict(self._snapshots)
        yield _by_readiness(snapshots.values())
        active = GaugeMetricFamily("ingestion_runs_active", "Runs that have not ended.", labels=["state"])
        active.add_metric(["queued"], sum(one.queued for one in snapshots.values()))
        active.add_metric(["running"], sum(one.running for one in snapshots.values()))
        yield active
        pending = GaugeMetricFamily(
            "ingestion_reports_pending", "Ended runs that are not yet reported to OpenMetadata."
        )
        pending.add_metric([], sum(one.unreported for one in snapshots.values()))
        yield pending
        yield _by_pipeline(
            snapshots,
            "ingestion_pipeline_last_success_timestamp_seconds",
            "Time of the last successful run.",
            _last_success,
        )
        yield _by_pipeline(
            snapshots,
            "ingestion_pipeline_next_schedule_timestamp_seconds",
            "Time of the next scheduled run.",
            _next_schedule,
        )
        yield _by_pipeline(
            snapshots, "ingestion_pipeline_missed_schedule", "1 if the last scheduled time started no run.", _has_missed
        )


def _by_readiness(snapshots: Collection[_Snapshot]) -> Metric:
    family = GaugeMetricFamily("ingestion_pipelines", "Pipelines, by Ready and its reason.", labels=["ready", "reason"])
    groups: dict[tuple[bool, str], int] = {}
    for one in snapshots:
        groups[one.is_ready, one.reason] = groups.get((one.is_ready, one.reason), 0) + 1
    for (is_ready, reason), count in sorted(groups.items()):
        family.add_metric([str(is_ready).lower(), reason], count)
    return family


def _by_pipeline(
    snapshots: dict[PipelineKey, _Snapshot], name: str, text: str, value: Callable[[_Snapshot], float | None]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["namespace", "pipeline"])
    for key, one in snapshots.items():
        if (number := value(one)) is not None:
            family.add_metric([key.namespace, key.name], number)
    return family


def _last_success(one: _Snapshot) -> float | None:
    return one.last_success.timestamp() if one.last_success else None


def _next_schedule(one: _Snapshot) -> float | None:
    return one.next_schedule.timestamp() if one.next_schedule else None


def _has_missed(one: _Snapshot) -> float | None:
    return float(one.has_missed) if one.next_schedule else None


def _snapshot(status: PipelineStatus) -> _Snapshot:
    conditions = {condition.type: condition for condition in status.conditions}
    ready, scheduled = conditions.get("Ready"), conditions.get("Scheduled")
    return _Snapshot(
        is_ready=ready is not None and ready.status == "True",
        reason=ready.reason if ready is not None else "Unknown",
        queued=status.queued or 0,
        running=status.active or 0,
        unreported=sum(run.is_unreported for run in status.runs),
        has_missed=scheduled is not None and scheduled.reason == "MissedSchedule",
        last_success=status.last_successful_time,
        next_schedule=status.next_schedule_time,
    )
