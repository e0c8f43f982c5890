"""Scheduled times that started no run; pure functions.

Kubernetes starts a run up to startingDeadlineSeconds late. After that, a scheduled time later than all runs of the
CronJob is missed. When the operator edits or unsuspends a CronJob, it sets lastScheduleTime, so that no earlier time
counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.schedule import last_scheduled_time, next_scheduled_time
from ingestion_operator.runs.jobs import CronJob, Job

_SLACK: Final = timedelta(seconds=90)
"""Tolerance for clock skew, and for the delay of Kubernetes' status updates."""

_JOB_ENDS_LATER: Final = timedelta(seconds=10)
"""How long after its last container a Job may end."""


@dataclass(frozen=True)
class MissedSchedule:
    """A scheduled time without a run."""

    scheduled_at: datetime
    deadline_seconds: int
    blocking_run: str | None
    """Id of the scheduled run that was active until the deadline, with policy Forbid."""


def last_missed_schedule(
    cronjob: CronJob, jobs: Sequence[Job], runs: Sequence[Run], now: datetime
) -> MissedSchedule | None:
    """Return the newest time that is certainly missed; None if a later run exists, or the CronJob starts none."""
    floor, seconds = _floor(cronjob, jobs, now), cronjob.starting_deadline_seconds
    if floor is None or seconds is None:
        return None
    scheduled_at = last_scheduled_time(
        cronjob.schedule, cronjob.time_zone, now - timedelta(seconds=seconds) - _SLACK, floor
    )
    if scheduled_at is None:
        return None
    return MissedSchedule(
        scheduled_at, seconds, _blocking_run(cronjob, runs, scheduled_at, scheduled_at + timedelta(seconds=seconds))
    )


def missed_at(cronjob: CronJob, jobs: Sequence[Job], now: datetime) -> datetime | None:
    """Return when a past scheduled time without a run will be missed; None if there is none."""
    floor, seconds = _floor(cronjob, jobs, now), cronjob.starting_deadline_seconds
    if floor is None or seconds is None:
        return None
    grace = timedelta(seconds=seconds) + _SLACK
    scheduled_at = next_scheduled_time(cronjob.schedule, cronjob.time_zone, max(floor, now - grace), floor)
    return scheduled_at + grace if scheduled_at is not None and scheduled_at <= now else None


def _floor(cronjob: CronJob, jobs: Sequence[Job], now: datetime) -> datetime | None:
    """Return the time before which no run counts as missed; None if the CronJob starts none."""
    if cronjob.is_suspended or cronjob.is_deleting:
        return None
    moments = [cronjob.last_schedule_time, *(job.time(constants.ANNOTATION_SCHEDULED_AT) for job in jobs)]
    # Another client may have written any time.
    return max([cronjob.created, *(moment for moment in moments if moment is not None and moment <= now + _SLACK)])


def _blocking_run(cronjob: CronJob, runs: Sequence[Run], scheduled_at: datetime, deadline: datetime) -> str | None:
    if cronjob.concurrency_policy != "Forbid":
        return None
    return next(
        (
            run.id
            for run in runs
            if run.trigger == "scheduled"
            and run.start_time <= scheduled_at
            and (run.end_time is None or run.end_time + _JOB_ENDS_LATER >= deadline)
        ),
        None,
    )
