"""Ticks that started no run; pure functions.

Kubernetes starts a run for a tick up to startingDeadlineSeconds late. After that, a tick that is younger than all
runs that the CronJob has started is lost. A CronJob that was edited or unsuspended by this operator has a floor in its
lastScheduleTime, so that nothing before that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.schedule import last_tick, next_tick
from ingestion_operator.runs.jobs import CronJob, Job

_SLACK: Final = timedelta(seconds=90)
"""For clocks that differ, and for what Kubernetes notes a moment after it has done it."""

_JOB_ENDS_LATER: Final = timedelta(seconds=10)
"""A Job may end this much after its last container."""


@dataclass(frozen=True)
class Miss:
    """A tick without a run."""

    tick: datetime
    deadline_seconds: int
    held_up_by: str | None
    """Id of the scheduled run that was under way all the time in which Forbid let no other start."""


def last_miss(cronjob: CronJob, jobs: Sequence[Job], runs: Sequence[Run], now: datetime) -> Miss | None:
    """Return the newest tick that is lost for certain; None if the last run is younger, or nothing may run."""
    floor, seconds = _floor(cronjob, jobs, now), cronjob.starting_deadline_seconds
    if floor is None or seconds is None:
        return None
    tick = last_tick(cronjob.schedule, cronjob.time_zone, now - timedelta(seconds=seconds) - _SLACK, floor)
    if tick is None:
        return None
    return Miss(tick, seconds, _held_up_by(cronjob, runs, tick, tick + timedelta(seconds=seconds)))


def judged_at(cronjob: CronJob, jobs: Sequence[Job], now: datetime) -> datetime | None:
    """Return when a tick that has passed without a run so far will be lost; None where there is none."""
    floor, seconds = _floor(cronjob, jobs, now), cronjob.starting_deadline_seconds
    if floor is None or seconds is None:
        return None
    grace = timedelta(seconds=seconds) + _SLACK
    tick = next_tick(cronjob.schedule, cronjob.time_zone, max(floor, now - grace), floor)
    return tick + grace if tick is not None and tick <= now else None


def _floor(cronjob: CronJob, jobs: Sequence[Job], now: datetime) -> datetime | None:
    """Return the time before which no tick is missed; None while none can be."""
    if cronjob.is_suspended or cronjob.is_deleting:
        return None
    moments = [cronjob.last_schedule_time, *(job.time(constants.ANNOTATION_SCHEDULED_AT) for job in jobs)]
    # Another client may have written any moment.
    return max([cronjob.created, *(moment for moment in moments if moment is not None and moment <= now + _SLACK)])


def _held_up_by(cronjob: CronJob, runs: Sequence[Run], tick: datetime, deadline: datetime) -> str | None:
    if cronjob.concurrency_policy != "Forbid":
        return None
    return next(
        (
            run.id
            for run in runs
            if run.trigger == "scheduled"
            and run.start_time <= tick
            and (run.end_time is None or run.end_time + _JOB_ENDS_LATER >= deadline)
        ),
        None,
    )
