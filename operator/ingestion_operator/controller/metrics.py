"""The operator's metrics; docs/operations/metrics.md describes each.

Runs are counted when a status with their change is written: once each, also across restarts. Gauges of pipelines are
computed from the last status of each pipeline at a scrape.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion_operator import __version__, constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus
from ingestion_operator.controller.gauges import PipelineGauges, WatchAges
from ingestion_operator.errors import (
    ActionsFailed,
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from ingestion_operator.ports import Kind
from ingestion_operator.reconcile.events import missed_schedule
from ingestion_operator.runs import transitions
from ingestion_operator.runs.jobs import Job, PipelineKey

_RUN_SECONDS: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_WAIT_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)
_RECONCILE_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALL_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_TRIGGERS: Final = ("scheduled", "manual")
_UNEXPECTED: Final = "Unexpected"
_ERRORS: Final = (ClusterError, NotFound, Conflict, Forbidden, Invalid, Unavailable, ActionsFailed)
_QUEUE: Final = "ingestionpipeline"
"""The label `name` of the work queue's metrics."""

Reconcile = Callable[[PipelineKey], datetime | None]


class OperatorMetrics:
    """The metrics in their own registry. Implements StatusObserver."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._runs = counter("ingestion_runs", "Runs that have ended.", "state", "type", "trigger")
        self._duration = histogram(
            "ingestion_run_duration_seconds",
            "Seconds from the start of the first container to the end of a run.",
            _RUN_SECONDS,
            "type",
            "state",
        )
        self._queue_wait = histogram(
            "ingestion_run_queue_wait_seconds",
            "Seconds from the creation of a queued Job to its admission.",
            _WAIT_SECONDS,
        )
        self._start = histogram(
            "ingestion_run_start_seconds",
            "Seconds from the creation or admission of a Job to the start of its first container.",
            _WAIT_SECONDS,
        )
        self._lag = histogram(
            "ingestion_run_schedule_lag_seconds",
            "Seconds from a scheduled time to the creation of its Job.",
            _WAIT_SECONDS,
        )
        self._missed = counter("ingestion_missed_schedules", "Scheduled times that started no run.", "reason")
        self._retries = counter("ingestion_run_retries", "Retries of runs: attempts after the first.", "type")
        self._out_of_memory = counter("ingestion_run_out_of_memory", "Attempts that ran out of memory.", "type")
        self._kills = counter("ingestion_run_kills", "Runs that were stopped on request.", "type")
        self._reports = counter(
            "ingestion_reports", "Ends of runs that the operator reported to OpenMetadata.", "outcome"
        )
        self._reconciles = histogram(
            "ingestion_operator_reconcile_seconds", "Duration of reconciliations in seconds.", _RECONCILE_SECONDS
        )
        self._results = counter("ingestion_operator_reconcile", "Reconciliations by result.", "result")
        for result in ("success", "error"):
            self._results.labels(result)
        self._errors = counter(
            "ingestion_operator_reconcile_errors", "Failed reconciliations, which are retried, by error.", "error"
        )
        self._calls = counter(
            "ingestion_operator_api_requests", "Requests to the API server by status code.", "verb", "resource", "code"
        )
        self._call_seconds = histogram(
            "ingestion_operator_api_request_seconds",
            "Duration of requests to the API server in seconds.",
            _CALL_SECONDS,
            "verb",
            "resource",
        )
        self._archived = counter(
            "ingestion_operator_archive_written_bytes", "Compressed bytes written to the log archive."
        )
        self._streams = gauge("ingestion_operator_archive_streams", "Logs that the archiver follows.")
        self._streams_waiting = gauge(
            "ingestion_operator_archive_streams_waiting", "Logs that wait for a free stream of the archiver."
        )
        self._spans = counter("ingestion_operator_spans", "Spans of traces by outcome.", "outcome")
        self.queue = _QueueMetrics(registry)
        self._depth = gauge("workqueue_depth", "Pipelines that are due and wait for a worker.", "name")
        self._busy = gauge("workqueue_busy_workers", "Pipelines that are being reconciled.", "name")
        self._leader = gauge("ingestion_operator_leader", "1 in the leader, 0 in a standby replica.")
        build = gauge("ingestion_operator_build_info", "Always 1, with the version as a label.", "version")
        build.labels(__version__).set(1)
        for outcome in ("Done", "Refused"):
            self._reports.labels(outcome)
        for outcome in ("sent", "dropped"):
            self._spans.labels(outcome)
        for reason in ("MissedSchedule", "JobAlreadyActive"):
            self._missed.labels(reason)
        for error in (_UNEXPECTED, *(kind.__name__ for kind in _ERRORS)):
            self._errors.labels(error)
        self._types: set[str] = set()
        self._pipelines = PipelineGauges()
        registry.register(self._pipelines)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def keep_existing(self, exists: Callable[[PipelineKey], bool]) -> None:
        """Use `exists` to drop the series of deleted pipelines."""
        self._pipelines.exists = exists

    def follow_queue(self, depth: Callable[[], int], busy: Callable[[], int]) -> None:
        """Read the depth and the busy workers of the queue from these functions."""
        self._depth.labels(_QUEUE).set_function(depth)
        self._busy.labels(_QUEUE).set_function(busy)

    def follow_archive(self, streams: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Read the followed and the waiting logs of the archiver from these functions."""
        self._streams.set_function(streams)
        self._streams_waiting.set_function(waiting)

    def count_archived_bytes(self, size: int) -> None:
        """Count the bytes of an object written to the log archive."""
        self._archived.inc(size)

    def count_spans(self, outcome: str, spans: int) -> None:
        """Count spans by outcome."""
        self._spans.labels(outcome).inc(spans)

    def follow_cache(self, ages: Callable[[], Mapping[tuple[Kind, str], float]]) -> None:
        """Read the age of each watch in seconds, by kind and scope, from `ages`."""
        self.registry.register(WatchAges(ages))

    def set_leader(self, leads: bool) -> None:
        """Record whether this replica leads."""
        self._leader.set(leads)

    def count_api_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count a request to the API server; `code` 0 means no response."""
        self._calls.labels(verb, resource, str(code) if code else "none").inc()
        self._call_seconds.labels(verb, resource).observe(seconds)

    def timed(self, reconcile: Reconcile) -> Reconcile:
        """Return `reconcile` with its durations, results and errors observed."""

        def observed_reconcile(key: PipelineKey) -> datetime | None:
            with self._reconciles.time():
                try:
                    requeue_at = reconcile(key)
                except Exception as error:
                    self._results.labels("error").inc()
                    self._errors.labels(type(error).__name__ if isinstance(error, ClusterError) else _UNEXPECTED).inc()
                    raise
            self._results.labels("success").inc()
            return requeue_at

        return observed_reconcile

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        """Count the changes between the two statuses and keep the current one for the gauges."""
        self._pipelines.remember(PipelineKey(pipeline.namespace, pipeline.name), after)
        pipeline_type = pipeline.spec.pipeline_type
        self._initialise(pipeline_type)
        for event in missed_schedule(before, after):
            self._missed.labels(event.reason).inc()
        by_name = {job.name: job for job in jobs}
        for change in transitions.changes(before, after):
            self._count(change, pipeline_type)
            if (job := by_name.get(change[1].job)) is not None:
                self._time_start(change, job)

    def _initialise(self, pipeline_type: str) -> None:
        """Initialise counters with 0: Prometheus sees no increase in a series that starts with 1."""
        if pipeline_type in self._types:
            return
        self._types.add(pipeline_type)
        for state in FINISHED_STATES:
            for trigger in _TRIGGERS:
                self._runs.labels(state, pipeline_type, trigger)
        for by_type in (self._retries, self._out_of_memory, self._kills):
            by_type.labels(pipeline_type)

    def _count(self, change: transitions.Change, pipeline_type: str) -> None:
        run = change[1]
        self._retries.labels(pipeline_type).inc(transitions.retries(change))
        self._out_of_memory.labels(pipeline_type).inc(transitions.out_of_memory(change))
        if outcome := transitions.finished_report(change):
            self._reports.labels(outcome).inc()
        if transitions.has_ended(change):
            self._runs.labels(run.state, pipeline_type, run.trigger).inc()
            if run.state == "stopped" and run.reason == "Killed":
                self._kills.labels(pipeline_type).inc()
            if run.end_time and (started := transitions.first_container_start(run)):
                self._duration.labels(pipeline_type, run.state).observe((run.end_time - started).total_seconds())

    def _time_start(self, change: transitions.Change, job: Job) -> None:
        was, _ = change
        created = job.created
        scheduled = job.time(constants.ANNOTATION_SCHEDULED_AT)
        if was is None and scheduled is not None:
            self._lag.observe((created - scheduled).total_seconds())
        if (start := transitions.first_start(change)) is not None:
            admitted = job.time(constants.ANNOTATION_ADMITTED_AT)
            if admitted is not None:
                self._queue_wait.observe((admitted - created).total_seconds())
            self._start.observe((start - (admitted or created)).total_seconds())


class _QueueMetrics:
    """Implements QueueObserver with the metric names of client-go. The label names the queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("name",)
        self._adds = Counter("workqueue_adds", "Pipelines that were enqueued.", labels, registry=registry)
        self._retries = Counter("workqueue_retries", "Pipelines that wait for a retry.", labels, registry=registry)
        self._waits = Histogram(
            "workqueue_queue_duration_seconds", "Seconds from the due time of a pipeline to its start.", labels,
            buckets=_RECONCILE_SECONDS, registry=registry,
        )  # fmt: skip
        self._works = Histogram(
            "workqueue_work_duration_seconds", "Seconds that a worker took for a pipeline.", labels,
            buckets=_RECONCILE_SECONDS, registry=registry,
        )  # fmt: skip
        for metric in (self._adds, self._retries, self._waits, self._works):
            metric.labels(_QUEUE)

    def added(self) -> None:
        self._adds.labels(_QUEUE).inc()

    def retried(self) -> None:
        self._retries.labels(_QUEUE).inc()

    def started(self, waited: float) -> None:
        self._waits.labels(_QUEUE).observe(waited)

    def finished(self, worked: float) -> None:
        self._works.labels(_QUEUE).observe(worked)
