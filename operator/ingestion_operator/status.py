"""The status of a pipeline from what was found, and the Events that a change of it deserves; pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.memory_sizes import limit_of
from ingestion_operator.models.resource import Pipeline, parse_status
from ingestion_operator.models.status import FINISHED_STATES, Condition, PipelineStatus, Report, Run
from ingestion_operator.models.types import format_timestamp, parse_timestamp
from ingestion_operator.runs.memory import OUT_OF_MEMORY
from ingestion_operator.runs.missed import Miss, last_miss
from ingestion_operator.runs.pending import Waiting
from ingestion_operator.runs.stopping import not_understood
from ingestion_operator.runs.texts import cut
from ingestion_operator.runs.versions import VERSION_MISMATCH, VersionFinding
from ingestion_operator.schedule import next_tick

_TICK_GRACE = timedelta(seconds=10)
"""How long after a tick its Job may take to appear before the status is looked at again."""


_RECONCILED = "Reconciled"
_MISSED = "MissedSchedule"
_SKIPPED = "SkippedWhileRunning"
_VERSION = "ServerVersionMatches"
_KILL = f"The annotation {constants.ANNOTATION_KILL}"


@dataclass(frozen=True)
class Findings:
    """What one look at a pipeline found: its CronJob as it is, its runs, and what stands in its way."""

    cronjob: dict[str, Any] | None
    runs: list[Run]
    rejected: Rejected | None
    jobs: Sequence[dict[str, Any]] = ()
    waiting: Sequence[Waiting] = ()
    """Runs that wait for a pod to start."""
    pods: Sequence[dict[str, Any]] = ()
    """The pods that are there."""
    version: VersionFinding | None = None
    """Whether the server and the runner's image fit; None when that is not known."""


@dataclass(frozen=True)
class Obstacle:
    """What keeps reports from OpenMetadata; the text stays the same as long as the cause does."""

    message: str
    needs_somebody: bool
    """Whether it stays until a person acts."""


@dataclass(frozen=True)
class Delivery:
    """What came of the reports that a pipeline owes."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    """By run id: what is settled now."""
    obstacle: Obstacle | None = None
    again_at: datetime | None = None
    """When to try again though nothing happens, None if somebody else wakes the pipeline."""


@dataclass(frozen=True)
class Announcement:
    """An Event to post."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def pipeline_status(pipeline: Pipeline, findings: Findings, now: datetime) -> PipelineStatus:
    """Return the status to write; equal to the one in place when nothing changed."""
    conditions = [_with_kill(_ready(pipeline, findings, now), pipeline.kill, now), _scheduled(pipeline, findings, now)]
    last = next((run for run in findings.runs if run.state in FINISHED_STATES), None)
    if last is not None:
        succeeded = last.state in ("success", "partialSuccess")
        text = f"Run {last.id}: {last.message}"
        conditions.append(_of(pipeline, "LastRunSucceeded", succeeded, last.reason, text, now))
    if (reported := _reported(pipeline, findings.runs, None, now)) is not None:
        conditions.append(reported)
    if (version := _version(pipeline, findings.version, now)) is not None:
        conditions.append(version)
    successes = [run.end_time for run in findings.runs if run.state in ("success", "partialSuccess") and run.end_time]
    before = pipeline.status.last_successful_time
    return PipelineStatus(
        observed_generation=pipeline.generation,
        conditions=conditions,
        cron_job_name=findings.cronjob["metadata"]["name"] if findings.cronjob else None,
        next_schedule_time=_next_schedule_time(findings.cronjob, now),
        active_runs=[run.id for run in findings.runs if run.state == "running"],
        queued_runs=[run.id for run in findings.runs if run.state == "queued"],
        runs=findings.runs,
        last_successful_time=max([*successes, *([before] if before else [])], default=None),
    )


def with_delivery(pipeline: Pipeline, status: PipelineStatus, delivery: Delivery, now: datetime) -> PipelineStatus:
    """Return the status once the reports of its runs were tried; equal to `status` if that changed nothing."""
    runs = [
        run.model_copy(update={"report": delivery.reports[run.id]}) if run.id in delivery.reports else run
        for run in status.runs
    ]
    conditions = [condition for condition in status.conditions if condition.type != "Reported"]
    if (reported := _reported(pipeline, runs, delivery.obstacle, now)) is not None:
        conditions.append(reported)
    return status.model_copy(update={"runs": runs, "conditions": conditions})


def unreadable_status(body: dict[str, Any], rejected: Rejected, now: datetime) -> PipelineStatus:
    """Return the status of a pipeline whose stored spec no longer fits the model: what it was, and not ready."""
    before, generation = parse_status(body), int(body["metadata"]["generation"])
    ready = _condition(before, generation, "Ready", False, rejected.reason, rejected.message, now)
    others = [condition for condition in before.conditions if condition.type != "Ready"]
    return before.model_copy(update={"observed_generation": generation, "conditions": [ready, *others]})


def next_look(status: PipelineStatus, boundary: datetime | None) -> datetime | None:
    """Return when the pipeline must be looked at again though nothing has happened to it."""
    tick = status.next_schedule_time + _TICK_GRACE if status.next_schedule_time else None
    return min((moment for moment in (tick, boundary) if moment is not None), default=None)


def _ready(pipeline: Pipeline, findings: Findings, now: datetime) -> Condition:
    if (rejected := findings.rejected) is not None:
        return _of(pipeline, "Ready", False, rejected.reason, rejected.message, now)
    message = "The CronJob is in place"
    if pipeline.spec.retry.on_out_of_memory is not None:
        message += _idle_memory_steps(pipeline.spec.retry.on_out_of_memory.max_memory, findings.cronjob)
    if pipeline.ineffective:
        message += f"; without effect here: {pipeline.ineffective}"
    return _of(pipeline, "Ready", True, _RECONCILED, message, now)


def _version(pipeline: Pipeline, finding: VersionFinding | None, now: datetime) -> Condition | None:
    """Return the condition of a mismatch; while nothing is known of the server, what was said of this spec stays."""
    if finding is None:
        before = _by_type(pipeline.status, _VERSION)
        return before if before is not None and before.observed_generation == pipeline.generation else None
    return _of(pipeline, _VERSION, False, VERSION_MISMATCH, finding.problem, now) if finding.problem else None


def _with_kill(ready: Condition, kill: str, now: datetime) -> Condition:
    """Say what is wrong with the annotation `kill`: there is no other place where whoever set it would look."""
    problem = not_understood(kill, now)
    if not problem:
        return ready
    message = cut(f"{_KILL} {problem}. {ready.message}", constants.MESSAGE_LIMIT_BYTES)
    return ready.model_copy(update={"message": message})


def _idle_memory_steps(most: str, cronjob: dict[str, Any] | None) -> str:
    """Return a remark where spec.retry.onOutOfMemory changes nothing, since there is nothing to grow."""
    job = cronjob["spec"]["jobTemplate"] if cronjob else {}
    if not job or constants.ANNOTATION_MEMORY_SIZES in job.get("metadata", {}).get("annotations", {}):
        return ""
    limit = limit_of(job["spec"]["template"]["spec"])
    why = f"its maxMemory {most} is not above the container's limit of {limit}" if limit else "there is no memory limit"
    return f"; spec.retry.onOutOfMemory has no effect: {why}"


def _scheduled(pipeline: Pipeline, findings: Findings, now: datetime) -> Condition:
    schedule = pipeline.spec.schedule
    live = findings.cronjob["spec"] if findings.cronjob else None
    if schedule is None:
        reason, message = "OnDemand", "No spec.schedule: runs start on demand"
    elif pipeline.spec.suspend and (live is None or live.get("suspend")):
        reason, message = "Suspended", "spec.suspend is true: set it to false to resume the schedule"
    elif live is None:
        reason, message = "NotReady", "No CronJob: see the Ready condition"
    elif schedule.start_date is not None and now < schedule.start_date:
        reason, message = "NotStarted", f"Starts at {schedule.start_date.isoformat()}"
    elif schedule.end_date is not None and now > schedule.end_date:
        reason, message = "Ended", f"endDate {schedule.end_date.isoformat()} is over: move it to go on"
    elif live.get("suspend"):
        reason, message = "NotReady", "The CronJob is still suspended: see the Ready condition"
    else:
        reason, message = "Scheduled", f"Runs at {live['schedule']} ({live['timeZone']})"
        if findings.cronjob and (miss := last_miss(findings.cronjob, findings.jobs, findings.runs, now)) is not None:
            reason, text = _missed(miss)
            message += f". {text}"
        return _of(pipeline, "Scheduled", True, reason, message, now)
    return _of(pipeline, "Scheduled", False, reason, message, now)


def _missed(miss: Miss) -> tuple[str, str]:
    tick = f"The tick of {format_timestamp(miss.tick)}"
    if miss.held_up_by is not None:
        return _SKIPPED, f"{tick} was skipped: run {miss.held_up_by} was under way, and concurrency.policy is Forbid"
    return _MISSED, (
        f"{tick} started no run within {miss.deadline_seconds} s: Kubernetes' CronJob controller was away, or was not "
        "allowed to create the Job; the Events of the CronJob may tell more. Later ticks are not affected"
    )


def _reported(pipeline: Pipeline, runs: Sequence[Run], obstacle: Obstacle | None, now: datetime) -> Condition | None:
    """Tell whether OpenMetadata has the end of the runs; None before the first has ended.

    Reports that are due and have not been tried yet leave the condition as it is: it must not flicker.
    """
    finished = [run for run in runs if run.state in FINISHED_STATES]
    if not finished:
        return None
    if any(run.is_unreported for run in finished):
        if obstacle is not None:
            return _of(pipeline, "Reported", False, "ReportPending", obstacle.message, now)
        before = _by_type(pipeline.status, "Reported")
        return before and before.model_copy(update={"observed_generation": pipeline.generation})
    if (refused := next((run for run in finished if run.report == "Refused"), None)) is not None:
        message = (
            f"OpenMetadata does not take the end of run {refused.id}: see whether it has the pipeline "
            f"{pipeline.fully_qualified_name}; the operator's log has its words"
        )
        return _of(pipeline, "Reported", False, "ReportRefused", message, now)
    return _of(pipeline, "Reported", True, "AllReported", "OpenMetadata has the end of every run listed here", now)


def _of(pipeline: Pipeline, kind: str, status: bool, reason: str, message: str, now: datetime) -> Condition:
    return _condition(pipeline.status, pipeline.generation, kind, status, reason, message, now)


def _condition(
    known: PipelineStatus,
    generation: int,
    kind: str,
    status: bool,
    reason: str,
    message: str,
    now: datetime,
) -> Condition:
    """Return the condition; its transition time moves only when the status does."""
    value: Literal["True", "False"] = "True" if status else "False"
    before = next((c for c in known.conditions if c.type == kind), None)
    since = before.last_transition_time if before is not None and before.status == value else now
    return Condition(
        type=kind,
        status=value,
        observed_generation=generation,
        last_transition_time=since,
        reason=reason,
        message=cut(message, constants.MESSAGE_LIMIT_BYTES),
    )


def _next_schedule_time(cronjob: dict[str, Any] | None, now: datetime) -> datetime | None:
    if cronjob is None or cronjob["spec"].get("suspend"):
        return None
    spec = cronjob["spec"]
    last = parse_timestamp(cronjob.get("status", {}).get("lastScheduleTime"))
    return next_tick(spec["schedule"], spec["timeZone"], max(now, last) if last else now)


def announcements(before: PipelineStatus, after: PipelineStatus) -> list[Announcement]:
    """Return the Events for what changed: readiness, and runs that began or ended.

    A pipeline that is ready from the start gets none: its condition says so, and thousands may come at once.
    """
    events = []
    ready, was = _by_type(after, "Ready"), _by_type(before, "Ready")
    expected = (was.status, was.reason) if was is not None else ("True", _RECONCILED)
    if ready is not None and (ready.status, ready.reason) != expected:
        events.append(Announcement("Normal" if ready.status == "True" else "Warning", ready.reason, ready.message))
    events += missed_tick(before, after) + _wrong_kill(before, after) + _new_mismatch(before, after)
    known = {run.id: run.state for run in before.runs}
    ran_out = {run.id: _times_out_of_memory(run) for run in before.runs}
    for run in reversed(after.runs):
        if run.state == "running" and known.get(run.id) not in ("running", *FINISHED_STATES):
            events.append(Announcement("Normal", "RunStarted", f"Run {run.id} ({run.trigger}) started"))
        if (
            run.reason == OUT_OF_MEMORY
            and run.state == "running"
            and _times_out_of_memory(run) > ran_out.get(run.id, 0)
        ):
            events.append(Announcement("Warning", OUT_OF_MEMORY, f"Run {run.id}: {run.message}"))
        if run.state in FINISHED_STATES and known.get(run.id) != run.state:
            bad = run.state == "failed"
            text = f"Run {run.id} ended as {run.state} ({run.reason}): {run.message}"
            events.append(Announcement("Warning" if bad else "Normal", "RunFailed" if bad else "RunEnded", text))
    return events


def missed_tick(before: PipelineStatus, after: PipelineStatus) -> list[Announcement]:
    """Return the Event for a tick that was missed, once for each tick."""
    scheduled, was = _by_type(after, "Scheduled"), _by_type(before, "Scheduled")
    if scheduled is None or scheduled.reason not in (_MISSED, _SKIPPED):
        return []
    text = scheduled.message[scheduled.message.find("The tick of") :]
    tick = text[: len("The tick of 2026-01-01T00:00:00Z")]
    if was is not None and tick in was.message:
        return []
    return [Announcement("Warning" if scheduled.reason == _MISSED else "Normal", scheduled.reason, text)]


def _wrong_kill(before: PipelineStatus, after: PipelineStatus) -> list[Announcement]:
    """Return the Event for an annotation `kill` that names nothing, once for each value."""
    ready, was = _by_type(after, "Ready"), _by_type(before, "Ready")
    if ready is None or not ready.message.startswith(_KILL) or (was is not None and was.message == ready.message):
        return []
    return [Announcement("Warning", "KillNotUnderstood", ready.message)]


def _new_mismatch(before: PipelineStatus, after: PipelineStatus) -> list[Announcement]:
    """Return the Event for versions that do not fit, once for each pair of them."""
    mismatch, was = _by_type(after, _VERSION), _by_type(before, _VERSION)
    if mismatch is None or (was is not None and was.message == mismatch.message):
        return []
    return [Announcement("Warning", VERSION_MISMATCH, mismatch.message)]


def _times_out_of_memory(run: Run) -> int:
    return sum(attempt.reason == OUT_OF_MEMORY for attempt in run.attempts)


def report_announcements(before: PipelineStatus, delivery: Delivery) -> list[Announcement]:
    """Return the Event for reports that wait for a person, once for each cause."""
    obstacle, was = delivery.obstacle, _by_type(before, "Reported")
    if obstacle is None or not obstacle.needs_somebody:
        return []
    message = cut(obstacle.message, constants.MESSAGE_LIMIT_BYTES)
    if was is not None and (was.reason, was.message) == ("ReportPending", message):
        return []
    return [Announcement("Warning", "ReportPending", message)]


def _by_type(status: PipelineStatus, kind: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)
