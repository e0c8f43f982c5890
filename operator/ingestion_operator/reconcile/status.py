"""The status of a pipeline, from what was observed; pure functions."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import FINISHED_STATES, Condition, PipelineStatus, Run
from ingestion_operator.k8s.clock_change import clock_change
from ingestion_operator.k8s.schedule import next_scheduled_time
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.reconcile.observed import ActionFailure, CronJobResult, Observed
from ingestion_operator.reporting.results import ReportBlocker, ReportResult
from ingestion_operator.runs.history import recorded
from ingestion_operator.runs.jobs import CronJob
from ingestion_operator.runs.missed import MissedSchedule, last_missed_schedule
from ingestion_operator.runs.stopping import invalid_kill_request
from ingestion_operator.runs.truncate import cut
from ingestion_operator.runs.versions import VERSION_MISMATCH, VersionFinding

RECONCILED: Final = "Reconciled"
MISSED: Final = "MissedSchedule"
SKIPPED: Final = "JobAlreadyActive"
CLOCK_CHANGE: Final = "ClockChange"
VERSION: Final = "ServerVersionMatches"
OVERRIDDEN: Final = "Overridden"
CONTESTED: Final = "Contested"
ACTIONS_FAILED: Final = "ActionsFailed"
KILL: Final = f"The annotation {constants.ANNOTATION_KILL}"
SCHEDULED_RUN: Final = "The run scheduled for"
"""Start of a message about a missed schedule; the scheduled time follows."""

_ORDER: Final = (
    "Ready", "Scheduled", "LastRunSucceeded", "Reported", VERSION, OVERRIDDEN, CONTESTED, ACTIONS_FAILED,
)  # fmt: skip
_SUCCEEDED: Final = ("success", "partialSuccess")
_RETRIED: Final = "; will be retried: "
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|[0-9]+")
"""Ports, addresses and times in an error's text differ between attempts."""

_ADMISSION_CHANGED: Final = "AdmissionChangedSpec"
_OTHER_MANAGER: Final = "OtherFieldManager"


def pipeline_status(
    observed: Observed, cronjob_result: CronJobResult, runs: Sequence[Run], now: datetime
) -> PipelineStatus:
    """Return the status to write; equal to the current one if nothing changed. `runs` are all runs."""
    pipeline = observed.pipeline
    conditions = [
        _with_kill(_ready(pipeline, cronjob_result, now), pipeline.kill, now),
        _scheduled(observed, cronjob_result.cronjob, runs, now),
    ]
    last = next((run for run in runs if run.state in FINISHED_STATES), None)
    if last is not None:
        text = f"Run {last.id}: {last.message}"
        conditions.append(_of(pipeline, "LastRunSucceeded", last.state in _SUCCEEDED, last.reason, text, now))
    optional = (
        _reported(pipeline, runs, None, now),
        _version(pipeline, observed.version, now),
        _overridden(pipeline, cronjob_result, now),
        _contested(pipeline, cronjob_result, now),
        condition(pipeline.status, ACTIONS_FAILED),  # until this reconciliation has executed its actions
    )
    conditions += [one for one in optional if one is not None]
    successes = [run.end_time for run in runs if run.state in _SUCCEEDED and run.end_time]
    before = pipeline.status.last_successful_time
    active, queued = _ids(runs, "running"), _ids(runs, "queued")
    return PipelineStatus(
        observed_generation=pipeline.generation,
        conditions=_ordered(conditions),
        cron_job_name=cronjob_result.cronjob.name if cronjob_result.cronjob else None,
        next_schedule_time=_next_schedule_time(cronjob_result.cronjob, now),
        active_runs=active[: constants.STATUS_IDS_LIMIT],
        queued_runs=queued[: constants.STATUS_IDS_LIMIT],
        active=len(active),
        queued=len(queued),
        runs=recorded(runs),
        last_successful_time=max([*successes, *([before] if before else [])], default=None),
    )


def with_results(
    pipeline: Pipeline,
    status: PipelineStatus,
    runs: Sequence[Run],
    failures: Sequence[ActionFailure],
    result: ReportResult,
    now: datetime,
) -> PipelineStatus:
    """Return the status after actions and reports; equal to `status` if they changed nothing.

    `runs` are all runs, with the reports of `result`.
    """
    conditions = [one for one in status.conditions if one.type not in ("Reported", ACTIONS_FAILED)]
    if (reported := _reported(pipeline, runs, result.blocker, now)) is not None:
        conditions.append(reported)
    if failures:
        first, more = failures[0], len(failures) - 1
        text = f"{first.action} failed{f', and {more} more' if more else ''}{_RETRIED}{first.error}"
        failed, before = (
            _of(pipeline, ACTIONS_FAILED, True, "ActionFailed", text, now),
            condition(status, ACTIONS_FAILED),
        )
        is_same = before is not None and _without_numbers(before.message) == _without_numbers(failed.message)
        conditions.append(failed.model_copy(update={"message": before.message}) if before and is_same else failed)
    conditions = _ordered(conditions)
    if not result.reports and conditions == status.conditions:
        return status
    return status.model_copy(update={"runs": recorded(runs), "conditions": conditions})


def _without_numbers(message: str) -> tuple[str, str]:
    """Return a message of failed actions in comparable form: the objects in full, the error without numbers."""
    what, _, error = message.partition(_RETRIED)
    return what, _NUMBER.sub("", error)


def with_reports(runs: Sequence[Run], result: ReportResult) -> list[Run]:
    """Return the runs with the final results of their reports."""
    reports = result.reports
    return [run.model_copy(update={"report": reports[run.id]}) if run.id in reports else run for run in runs]


def _ordered(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions in a fixed order: another order would be a change, and a write."""
    return sorted(conditions, key=lambda one: _ORDER.index(one.type))


def condition(status: PipelineStatus, kind: str) -> Condition | None:
    """Return the condition of a type, or None."""
    return next((one for one in status.conditions if one.type == kind), None)


def _ids(runs: Sequence[Run], state: str) -> list[str]:
    return [run.id for run in runs if run.state == state]


def _ready(pipeline: Pipeline, cronjob_result: CronJobResult, now: datetime) -> Condition:
    if cronjob_result.blocker is not None:
        return _of(pipeline, "Ready", False, cronjob_result.blocker.reason, cronjob_result.blocker.message, now)
    if cronjob_result.failure is not None:
        before = condition(pipeline.status, "Ready")
        if before is not None and before.observed_generation == pipeline.generation:
            return before  # a temporary failure must not change it
        text = f"{cronjob_result.failure.action} failed; will be retried: see the condition {ACTIONS_FAILED}"
        return _of(pipeline, "Ready", False, "NotReconciled", text, now)
    message = "The CronJob is in place"
    if pipeline.spec.retry.on_out_of_memory is not None:
        message += _ineffective_memory_retry(pipeline.spec.retry.on_out_of_memory.max_memory, cronjob_result.cronjob)
    if pipeline.ignored_fields:
        message += f"; without effect here: {pipeline.ignored_fields}"
    return _of(pipeline, "Ready", True, RECONCILED, message, now)


def _ineffective_memory_retry(max_memory: str, cronjob: CronJob | None) -> str:
    """Return a remark if spec.retry.onOutOfMemory has no effect on the CronJob, else an empty text."""
    if cronjob is None or cronjob.has_larger_memory_limits:
        return ""
    limit = cronjob.memory_limit
    why = (
        f"its maxMemory {max_memory} is not above the container's limit of {limit}"
        if limit
        else "the container has no memory limit"
    )
    return f"; spec.retry.onOutOfMemory has no effect: {why}"


def _with_kill(ready: Condition, kill: str, now: datetime) -> Condition:
    """Add the problem of an invalid annotation `kill`: its author reads this condition first."""
    problem = invalid_kill_request(kill, now)
    if not problem or ready.message.startswith(KILL):
        return ready
    message = cut(f"{KILL} {problem}. {ready.message}", constants.MESSAGE_LIMIT_BYTES)
    return ready.model_copy(update={"message": message})


def _scheduled(observed: Observed, live: CronJob | None, runs: Sequence[Run], now: datetime) -> Condition:
    pipeline = observed.pipeline
    schedule = pipeline.spec.schedule
    if schedule is None:
        reason, message = "OnDemand", "No spec.schedule: runs start on demand"
    elif pipeline.spec.suspend and (live is None or live.is_suspended):
        reason, message = "Suspended", "spec.suspend is true: set it to false to resume the schedule"
    elif live is None:
        reason, message = "NotReady", "No CronJob: see the Ready condition"
    elif schedule.start_date is not None and now < schedule.start_date:
        reason, message = "NotStarted", f"Starts at {schedule.start_date.isoformat()}"
    elif schedule.end_date is not None and now > schedule.end_date:
        reason, message = "Ended", f"endDate {schedule.end_date.isoformat()} is over: move it to continue"
    elif live.is_suspended:
        reason, message = "NotReady", "The CronJob is still suspended: see the Ready condition"
    else:
        return _firing(observed, live, runs, now)
    return _of(pipeline, "Scheduled", False, reason, message, now)


def _firing(observed: Observed, live: CronJob, runs: Sequence[Run], now: datetime) -> Condition:
    """Return the condition of an active schedule, with its last missed run, else its next clock change."""
    reason, message = "Scheduled", f"Runs at {live.schedule} ({live.time_zone})"
    if (miss := last_missed_schedule(live, observed.jobs, runs, now)) is not None:
        reason, text = _missed(miss)
        message += f". {text}"
    elif (change := clock_change(live.schedule, live.time_zone, now)) is not None:
        reason = CLOCK_CHANGE
        # A different text in that night, so that it gets its own Event.
        when = "Tonight, " if now >= change.night_begins else "Soon, "
        message += f". {when}{change.message}: {change.fix}"
    return _of(observed.pipeline, "Scheduled", True, reason, message, now)


def _missed(miss: MissedSchedule) -> tuple[str, str]:
    run = f"{SCHEDULED_RUN} {format_timestamp(miss.scheduled_at)}"
    if miss.blocking_run is not None:
        return SKIPPED, f"{run} was skipped: run {miss.blocking_run} was active, and concurrency.policy is Forbid"
    return MISSED, (
        f"{run} did not start within {miss.deadline_seconds} s: Kubernetes' CronJob controller was not running, or was "
        "not allowed to create the Job; check the Events of the CronJob. Later scheduled runs are not affected"
    )


def _reported(
    pipeline: Pipeline, runs: Sequence[Run], blocker: ReportBlocker | None, now: datetime
) -> Condition | None:
    """Return the condition Reported; None before the first run has ended.

    Due reports that were not attempted yet keep the current condition, so that it does not alternate.
    """
    finished = [run for run in runs if run.state in FINISHED_STATES]
    if not finished:
        return None
    if any(run.is_unreported for run in finished):
        if blocker is not None:
            return _of(pipeline, "Reported", False, "ReportPending", blocker.message, now)
        before = condition(pipeline.status, "Reported")
        return before and before.model_copy(update={"observed_generation": pipeline.generation})
    if (refused := next((run for run in finished if run.report == "Refused"), None)) is not None:
        name = refused.target.fully_qualified_name if refused.target else pipeline.fully_qualified_name
        message = (
            f"OpenMetadata refuses the report of run {refused.id}: check whether it has the pipeline {name}; "
            "the operator's log has the response"
        )
        return _of(pipeline, "Reported", False, "ReportRefused", message, now)
    return _of(pipeline, "Reported", True, "AllReported", "OpenMetadata has the end of every run listed here", now)


def _version(pipeline: Pipeline, finding: VersionFinding | None, now: datetime) -> Condition | None:
    """Return the condition of a mismatch. While the server's version is unknown, the condition of this spec stays."""
    if finding is None:
        before = condition(pipeline.status, VERSION)
        return before if before is not None and before.observed_generation == pipeline.generation else None
    return _of(pipeline, VERSION, False, VERSION_MISMATCH, finding.problem, now) if finding.problem else None


def _overridden(pipeline: Pipeline, cronjob_result: CronJobResult, now: datetime) -> Condition | None:
    if cronjob_result.overridden is None:
        return condition(pipeline.status, OVERRIDDEN) if cronjob_result.cronjob is not None else None
    if not cronjob_result.overridden:
        return None
    return _of(pipeline, OVERRIDDEN, True, _ADMISSION_CHANGED, cronjob_result.overridden, now)


def _contested(pipeline: Pipeline, cronjob_result: CronJobResult, now: datetime) -> Condition | None:
    if not cronjob_result.contested:
        return None
    text = (
        f"The field manager {cronjob_result.contested!r} keeps changing the spec of the CronJob, which the operator "
        "restores with growing pauses of up to 10 minutes: stop that client, or change the pipeline instead"
    )
    return _of(pipeline, CONTESTED, True, _OTHER_MANAGER, text, now)


def _of(pipeline: Pipeline, kind: str, status: bool, reason: str, message: str, now: datetime) -> Condition:
    """Return a condition, whose transition time changes only with its status."""
    value: Literal["True", "False"] = "True" if status else "False"
    before = condition(pipeline.status, kind)
    since = before.last_transition_time if before is not None and before.status == value else now
    return Condition(
        type=kind,
        status=value,
        observed_generation=pipeline.generation,
        last_transition_time=since,
        reason=reason[: constants.REASON_LIMIT],
        message=cut(message, constants.MESSAGE_LIMIT_BYTES),
    )


def _next_schedule_time(cronjob: CronJob | None, now: datetime) -> datetime | None:
    if cronjob is None or cronjob.is_suspended:
        return None
    last = cronjob.last_schedule_time or cronjob.created
    # The time from which the CronJob controller searches, which matters in the night of a clock change.
    return next_scheduled_time(cronjob.schedule, cronjob.time_zone, max(now, last), last)
