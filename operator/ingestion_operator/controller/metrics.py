"""What the operator counts; docs/operations/metrics.md tells what each is for.

Runs are counted when a status is written that says something new of them: once each, also over restarts. What is
so at a moment (gauges) is read from the last status of each pipeline when somebody asks.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from ingestion_operator import __version__, constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import FINISHED_STATES, PipelineStatus, Run
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
    """A registry of its own. Implements the port StatusObserver."""

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
            "ingestion_run_duration_seconds", "First container's start to a run's end.", _RUN_SECONDS, "type", "state"
        )
        self._queue_wait = histogram(
            "ingestion_run_queue_wait_seconds", "Creation of a Job that had to wait, to its admission.", _WAIT_SECONDS
        )
        self._start = histogram(
            "ingestion_run_start_seconds", "Creation or admission of a Job to its first container.", _WAIT_SECONDS
        )
        self._lag = histogram("ingestion_run_schedule_lag_seconds", "A tick to the creation of its Job.", _WAIT_SECONDS)
        self._missed = counter("ingestion_missed_schedules", "Ticks that started no run.", "reason")
        self._retries = counter("ingestion_run_retries", "Attempts after the first of a run.", "type")
        self._out_of_memory = counter("ingestion_run_out_of_memory", "Attempts out of memory.", "type")
        self._kills = counter("ingestion_run_kills", "Runs that ended since somebody asked for it.", "type")
        self._reports = counter("ingestion_reports", "Ends of runs that the operator told OpenMetadata.", "outcome")
        self._reconciles = histogram(
            "ingestion_operator_reconcile_seconds", "Reconciliations of a pipeline.", _RECONCILE_SECONDS
        )
        self._results = counter("ingestion_operator_reconcile", "Reconciliations, by their result.", "result")
        for result in ("success", "error"):
            self._results.labels(result)
        self._errors = counter(
            "ingestion_operator_reconcile_errors", "Reconciliations that failed and are retried.", "error"
        )
        self._calls = counter(
            "ingestion_operator_api_requests", "Answers of the API server.", "verb", "resource", "code"
        )
        self._call_seconds = histogram(
            "ingestion_operator_api_request_seconds", "Calls to the API server.", _CALL_SECONDS, "verb", "resource"
        )
        self._archived = counter("ingestion_operator_archive_written_bytes", "Compressed bytes put into the archive.")
        self._streams = gauge("ingestion_operator_archive_streams", "Logs that are followed.")
        self._streams_waiting = gauge("ingestion_operator_archive_streams_waiting", "Logs that wait to be followed.")
        self._spans = counter("ingestion_operator_spans", "Spans of traces, by what became of them.", "outcome")
        self.queue = _QueueMetrics(registry)
        self._depth = gauge("workqueue_depth", "Pipelines that are due and wait for a worker.", "name")
        self._busy = gauge("workqueue_busy_workers", "Pipelines that are being reconciled.", "name")
        self._leader = gauge("ingestion_operator_leader", "1 in the replica that leads, 0 in one that stands by.")
        build = gauge("ingestion_operator_build_info", "1, with the version.", "version")
        build.labels(__version__).set(1)
        for outcome in ("Done", "Refused"):
            self._reports.labels(outcome)
        for fate in ("sent", "dropped"):
            self._spans.labels(fate)
        for reason in ("MissedSchedule", "JobAlreadyActive"):
            self._missed.labels(reason)
        for error in (_UNEXPECTED, *(kind.__name__ for kind in _ERRORS)):
            self._errors.labels(error)
        self._types: set[str] = set()
        self._pipelines = PipelineGauges()
        registry.register(self._pipelines)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def exists(self, exists: Callable[[PipelineKey], bool]) -> None:
        """Let `exists` tell which pipelines are there at the moment: others lose their series."""
        self._pipelines.exists = exists

    def follow_queue(self, depth: Callable[[], int], busy: Callable[[], int]) -> None:
        """Take the queue's figures from these."""
        self._depth.labels(_QUEUE).set_function(depth)
        self._busy.labels(_QUEUE).set_function(busy)

    def follow_archive(self, streams: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Take the log archive's figures from these."""
        self._streams.set_function(streams)
        self._streams_waiting.set_function(waiting)

    def archived(self, size: int) -> None:
        """Count an object that was put into the log archive."""
        self._archived.inc(size)

    def traced(self, outcome: str, spans: int) -> None:
        """Count what has become of spans."""
        self._spans.labels(outcome).inc(spans)

    def follow_cache(self, ages: Callable[[], Mapping[tuple[Kind, str], float]]) -> None:
        """Take from `ages`, by kind and scope, when the API server last gave a sign."""
        self.registry.register(WatchAges(ages))

    def leads(self, leads: bool) -> None:
        """Take notice of whether this replica leads."""
        self._leader.set(leads)

    def called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count a call to the API server."""
        self._calls.labels(verb, resource, str(code) if code else "none").inc()
        self._call_seconds.labels(verb, resource).observe(seconds)

    def timed(self, reconcile: Reconcile) -> Reconcile:
        """Return `reconcile`, timed, with its errors counted."""

        def observed(key: PipelineKey) -> datetime | None:
            with self._reconciles.time():
                try:
                    requeue_at = reconcile(key)
                except Exception as error:
                    self._results.labels("error").inc()
                    self._errors.labels(type(error).__name__ if isinstance(error, ClusterError) else _UNEXPECTED).inc()
                    raise
            self._results.labels("success").inc()
            return requeue_at

        return observed

    def on_reconciled(
        self, pipeline: Pipeline, before: PipelineStatus, after: PipelineStatus, jobs: Sequence[Job]
    ) -> None:
        """Count what is new; remember what is so."""
        self._pipelines.remember(PipelineKey(pipeline.namespace, pipeline.name), after)
        pipeline_type = pipeline.spec.pipeline_type
        self._begin(pipeline_type)
        for event in missed_schedule(before, after):
            self._missed.labels(event.reason).inc()
        by_name = {job.name: job for job in jobs}
        for change in transitions.changes(before, after):
            self._count(change, pipeline_type)
            if (job := by_name.get(change[1].job)) is not None:
                self._time_start(change, job)

    def _begin(self, pipeline_type: str) -> None:
        """Start counters at 0: Prometheus sees no increase in one that begins with 1."""
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
        if outcome := transitions.settled_report(change):
            self._reports.labels(outcome).inc()
        if transitions.has_ended(change):
            self._runs.labels(run.state, pipeline_type, run.trigger).inc()
            if run.state == "stopped" and run.reason == "Killed":
                self._kills.labels(pipeline_type).inc()
            if run.end_time and (begun := _begun(run)):
                self._duration.labels(pipeline_type, run.state).observe((run.end_time - begun).total_seconds())

    def _time_start(self, change: transitions.Change, job: Job) -> None:
        was, _ = change
        created = job.created
        tick = job.time(constants.ANNOTATION_SCHEDULED_AT)
        if was is None and tick is not None:
            self._lag.observe((created - tick).total_seconds())
        if (start := transitions.first_start(change)) is not None:
            admitted = job.time(constants.ANNOTATION_ADMITTED_AT)
            if admitted is not None:
                self._queue_wait.observe((admitted - created).total_seconds())
            self._start.observe((start - (admitted or created)).total_seconds())


class _QueueMetrics:
    """Implements the port QueueObserver, under the names that every controller uses; the label tells them apart."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("name",)
        self._adds = Counter("workqueue_adds", "Pipelines that were enqueued.", labels, registry=registry)
        self._retries = Counter("workqueue_retries", "Pipelines that wait for a retry.", labels, registry=registry)
        self._waits = Histogram(
            "workqueue_queue_duration_seconds", "From when a pipeline is due to its start.", labels,
            buckets=_RECONCILE_SECONDS, registry=registry,
        )  # fmt: skip
        self._works = Histogram(
            "workqueue_work_duration_seconds", "How long a worker took.", labels,
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


def _begun(run: Run) -> datetime | None:
    return min((attempt.start_time for attempt in run.attempts if attempt.start_time), default=None)
