"""Traces of runs and deploys, as spans; pure functions.

A run is one trace: the root span `run` and its consecutive children `queue` (until its Job may have a pod), `pod`
(until the runner's container starts) and `attempt` (until it ends), the last two for each attempt. A change of a
pipeline's spec is a separate trace with the span `deploy`, to which later runs link.

Ids are derived from names, so that spans that are sent twice have the same ids. Times come from Kubernetes and the
record of the run, in whole seconds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.k8s.objects import Body
from ingestion_operator.runs import transitions
from ingestion_operator.runs.jobs import Job

_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_LATEST_START: Final = timedelta(days=2)
"""Maximum delay of a run after its scheduled time; the CronJob controller causes no longer one."""

Attributes = Mapping[str, str | int]


@dataclass(frozen=True)
class SpanId:
    """The ids of a trace and of a span in it, in hexadecimal."""

    trace: str
    span: str


@dataclass(frozen=True)
class Span:
    """A span."""

    id: SpanId
    name: str
    start: datetime
    end: datetime
    attributes: Attributes
    parent: SpanId | None = None
    link: SpanId | None = None
    """A span of another trace that caused this one."""
    error: str | None = None
    """Why it failed; None if it did not."""


@dataclass
class _Trace:
    """The spans of a run. None starts before the run or ends after it."""

    root: Span
    children: list[Span] = field(default_factory=list)

    def add(self, name: str, start: datetime, end: datetime, attributes: Attributes, error: str | None = None) -> None:
        start = min(max(start, self.root.start), self.root.end)
        end = min(max(end, start), self.root.end)
        span_id = _span_id(self.root.id.trace, f"{name}/{len(self.children)}")
        self.children.append(Span(span_id, name, start, end, attributes, parent=self.root.id, error=error))


def new_spans(
    pipeline: Body,
    changed_at: datetime | None,
    before: PipelineStatus,
    after: PipelineStatus,
    jobs: Sequence[Job],
    now: datetime,
) -> list[Span]:
    """Return the spans of the deploy and of the runs that ended between two written statuses.

    Args:
        pipeline: The pipeline, with metadata and spec.
        changed_at: When the spec was last changed; None if unknown.
        before: The earlier status.
        after: The later status.
        jobs: The Jobs of the pipeline.
        now: When `after` was written.
    """
    by_name = {job.name: job for job in jobs}
    is_new = after.observed_generation != before.observed_generation
    spans = list(_deploy(pipeline, changed_at, after, now)) if is_new else []
    for change in transitions.changes(before, after):
        run = change[1]
        if transitions.has_ended(change) and run.end_time is not None:
            spans += run_spans(pipeline, changed_at, run, run.end_time, by_name.get(run.job))
    return spans


def run_trace_id(namespace: str, pipeline: str, run_id: str) -> str:
    """Return the id of a run's trace: the first 32 digits of the SHA-256 of `namespace/pipeline/run id`."""
    return _digest(f"{namespace}/{pipeline}/{run_id}", _TRACE_DIGITS)


def run_spans(pipeline: Body, changed_at: datetime | None, run: Run, end: datetime, job: Job | None) -> list[Span]:
    """Return the spans of an ended run, the root first; the other parameters are those of `new_spans`.

    Without the Job it is unknown when the run left the queue: then the time before the first attempt has no spans.
    """
    trace = _Trace(_root(pipeline, changed_at, run, end, job))
    free = _left_queue(run, job) if job is not None else None
    if job is not None:
        trace.add("queue", trace.root.start, free or end, {})
    waits_since, waiting_pod = free, None
    for number, attempt in enumerate(run.attempts, start=1):
        if attempt.start_time is None:
            waiting_pod = attempt
            continue
        attributes: dict[str, str | int | None] = {"ingestion.attempt": number, "k8s.pod.name": attempt.pod}
        if waits_since is not None:
            trace.add("pod", min(waits_since, attempt.start_time), attempt.start_time, _known(attributes))
        attributes |= {
            "k8s.node.name": attempt.node,
            "ingestion.attempt.reason": attempt.reason,
            "ingestion.attempt.exit_code": attempt.exit_code,
            "ingestion.attempt.memory_limit": attempt.memory,
        }
        has_failed = run.state != "stopped" and attempt.exit_code not in (None, 0)
        error = attempt.reason or f"exit code {attempt.exit_code}" if has_failed else None
        waits_since, waiting_pod = attempt.end_time or end, None
        trace.add("attempt", attempt.start_time, waits_since, _known(attributes), error)
    never_started = free is not None and not any(attempt.start_time for attempt in run.attempts)
    if waits_since is not None and (waiting_pod is not None or never_started):
        trace.add("pod", waits_since, end, _known({"k8s.pod.name": waiting_pod.pod if waiting_pod else None}))
    return [trace.root, *trace.children]


def _root(pipeline: Body, changed_at: datetime | None, run: Run, end: datetime, job: Job | None) -> Span:
    metadata = pipeline["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    scheduled_at = job.time(constants.ANNOTATION_SCHEDULED_AT) if job is not None else None
    is_scheduled = scheduled_at is not None and run.start_time - scheduled_at <= _LATEST_START
    start = min(scheduled_at if scheduled_at is not None and is_scheduled else run.start_time, run.start_time, end)
    follows = changed_at is not None and changed_at <= run.start_time
    attributes = _known(
        _pipeline_attributes(pipeline)
        | {
            "k8s.job.name": run.job,
            "ingestion.run.id": run.id,
            "ingestion.run.trigger": run.trigger,
            "ingestion.run.state": run.state,
            "ingestion.run.reason": run.reason,
            "ingestion.run.records": run.summary.records if run.summary else None,
            "ingestion.run.warnings": run.summary.warnings if run.summary else None,
            "ingestion.run.errors": run.summary.errors if run.summary else None,
        }
    )
    return Span(
        _span_id(run_trace_id(namespace, name, run.id), "run"),
        "run",
        start,
        end,
        attributes,
        link=_deploy_id(pipeline) if follows else None,
        error=run.message if run.state == "failed" else None,
    )


def _left_queue(run: Run, job: Job) -> datetime | None:
    """Return when the run's Job was allowed to have a pod; None if it never was."""
    first_start = transitions.first_container_start(run)
    admitted = job.time(constants.ANNOTATION_ADMITTED_AT)
    if admitted is None and job.is_suspended and not run.attempts:
        return None
    # A resume of the Job, also by Kueue, sets its startTime; a change of its memory limit sets it again.
    for moment in (admitted, job.start_time):
        if moment is not None and (first_start is None or moment <= first_start):
            return moment
    return run.start_time


def _deploy(pipeline: Body, changed_at: datetime | None, status: PipelineStatus, now: datetime) -> Iterator[Span]:
    """Yield the span of the spec change that the status is the first to observe, if its time is known."""
    generation = pipeline["metadata"]["generation"]
    if changed_at is None or generation != status.observed_generation:
        return
    ready = next((condition for condition in status.conditions if condition.type == "Ready"), None)
    is_ready = ready is not None and ready.status == "True"
    attributes = _pipeline_attributes(pipeline) | {
        "ingestion.pipeline.generation": generation,
        "ingestion.pipeline.ready": str(is_ready).lower(),
        "ingestion.pipeline.reason": ready.reason if ready else None,
    }
    yield Span(
        _deploy_id(pipeline),
        "deploy",
        min(changed_at, now),
        now,
        _known(attributes),
        error=ready.message if ready is not None and not is_ready else None,
    )


def _deploy_id(pipeline: Body) -> SpanId:
    metadata = pipeline["metadata"]
    return _span_id(_digest(f"{metadata['uid']}/{metadata['generation']}", _TRACE_DIGITS), "deploy")


def _pipeline_attributes(pipeline: Body) -> dict[str, str | int | None]:
    return {
        "k8s.namespace.name": pipeline["metadata"]["namespace"],
        "ingestion.pipeline.name": pipeline["metadata"]["name"],
        "ingestion.pipeline.type": pipeline.get("spec", {}).get("pipelineType"),
    }


def _known(attributes: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {key: value for key, value in attributes.items() if value is not None}


def _span_id(trace: str, name: str) -> SpanId:
    return SpanId(trace, _digest(f"{trace}/{name}", _SPAN_DIGITS))


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
