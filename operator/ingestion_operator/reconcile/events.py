"""The Events for a change of a pipeline's status; pure functions."""

from typing import Final

from ingestion_operator.api.status import FINISHED_STATES, Condition, PipelineStatus, Run
from ingestion_operator.reconcile.observed import EventRecord
from ingestion_operator.reconcile.status import (
    ACTIONS_FAILED,
    CLOCK_CHANGE,
    CONTESTED,
    KILL,
    MISSED,
    OVERRIDDEN,
    RECONCILED,
    SCHEDULED_RUN,
    SKIPPED,
    VERSION,
    condition,
)
from ingestion_operator.reporting.results import ReportBlocker
from ingestion_operator.runs.retry.memory import OUT_OF_MEMORY
from ingestion_operator.runs.transitions import changes, out_of_memory

_SUBJECT: Final = f"{SCHEDULED_RUN} 2026-01-01T00:00:00Z"
"""Form of the subject of a message about a missed schedule."""


def events(before: PipelineStatus, after: PipelineStatus, blocker: ReportBlocker | None) -> list[EventRecord]:
    """Return the Events for changes of readiness, missed schedules, started and ended runs, and required user actions.

    `blocker` is the current blocker of reports. A pipeline that is ready from the start gets no Event: it has the
    condition, and thousands of pipelines may be created at once.
    """
    found = []
    ready, was = condition(after, "Ready"), condition(before, "Ready")
    expected = (was.status, was.reason) if was is not None else ("True", RECONCILED)
    if ready is not None and (ready.status, ready.reason) != expected:
        found.append(EventRecord("Normal" if ready.status == "True" else "Warning", ready.reason, ready.message))
    found += missed_schedule(before, after) + _clock_change(before, after) + _invalid_kill(before, after)
    for kind in (VERSION, OVERRIDDEN, CONTESTED, ACTIONS_FAILED):
        found += _appeared(before, after, kind)
    for was_run, run in reversed(list(changes(before, after))):
        found += _of_run(was_run, run)
    return found + (_appeared(before, after, "Reported") if blocker is not None and blocker.needs_action else [])


def missed_schedule(before: PipelineStatus, after: PipelineStatus) -> list[EventRecord]:
    """Return the Event for a missed schedule, once for each scheduled time."""
    scheduled, was = condition(after, "Scheduled"), condition(before, "Scheduled")
    if scheduled is None or scheduled.reason not in (MISSED, SKIPPED):
        return []
    text = scheduled.message[scheduled.message.find(SCHEDULED_RUN) :]
    if was is not None and text[: len(_SUBJECT)] in was.message:
        return []
    return [EventRecord("Warning" if scheduled.reason == MISSED else "Normal", scheduled.reason, text)]


def _of_run(was: Run | None, run: Run) -> list[EventRecord]:
    found = []
    state = was.state if was is not None else ""
    if run.state == "running" and state not in ("running", *FINISHED_STATES):
        found.append(EventRecord("Normal", "RunStarted", f"Run {run.id} ({run.trigger}) started"))
    if (run.reason, run.state) == (OUT_OF_MEMORY, "running") and out_of_memory((was, run)):
        found.append(EventRecord("Warning", OUT_OF_MEMORY, f"Run {run.id}: {run.message}"))
    if run.state in FINISHED_STATES and state != run.state:
        has_failed = run.state == "failed"
        text = f"Run {run.id} ended as {run.state} ({run.reason}): {run.message}"
        reason = "RunFailed" if has_failed else "RunEnded"
        found.append(EventRecord("Warning" if has_failed else "Normal", reason, text))
    return found


def _clock_change(before: PipelineStatus, after: PipelineStatus) -> list[EventRecord]:
    """Return the Event for a clock change that skips or doubles a run, once for each message."""
    scheduled, was = condition(after, "Scheduled"), condition(before, "Scheduled")
    if scheduled is None or scheduled.reason != CLOCK_CHANGE:
        return []
    if was is not None and (was.reason, was.message) == (scheduled.reason, scheduled.message):
        return []
    return [EventRecord("Warning", CLOCK_CHANGE, scheduled.message)]


def _invalid_kill(before: PipelineStatus, after: PipelineStatus) -> list[EventRecord]:
    """Return the Event for an invalid annotation `kill`, once for each value."""
    ready, was = condition(after, "Ready"), condition(before, "Ready")
    if ready is None or not ready.message.startswith(KILL) or (was is not None and was.message == ready.message):
        return []
    return [EventRecord("Warning", "InvalidKillRequest", ready.message)]


def _appeared(before: PipelineStatus, after: PipelineStatus, kind: str) -> list[EventRecord]:
    """Return the Event for a condition that needs a user, once for each message."""
    now, was = condition(after, kind), condition(before, kind)
    return [EventRecord("Warning", _reason(now), now.message)] if now is not None and _is_new(now, was) else []


def _reason(one: Condition) -> str:
    return one.reason if one.type in (VERSION, "Reported") else one.type


def _is_new(now: Condition, was: Condition | None) -> bool:
    return was is None or (was.status, was.message) != (now.status, now.message)
