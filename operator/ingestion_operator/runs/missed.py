"""Ticks that started no run; pure functions.

Kubernetes starts a run for a tick up to startingDeadlineSeconds late. After that, a tick that is younger than all
that the CronJob has started is lost. A CronJob that was edited or unsuspended by this operator has a floor in its
lastScheduleTime, so that nothing before that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.models.status import Run
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.schedule import clocks_change_near, last_tick, next_tick

_SLACK: Final = timedelta(seconds=90)
"""For clocks that differ, and for what Kubernetes notes a moment after it has done it."""

_JOB_ENDS_LATER: Final = timedelta(seconds=10)
"""A Job may end this much after its last container."""

CronJob = dict[str, Any]
Job = dict[str, Any]


@dataclass(frozen=True)
class Miss:
    """A tick without a run."""

    tick: datetime
    deadline_seconds: int
    held_up_by: str | None
    """Id of the scheduled run that was under way all the time in which Forbid let no other start."""


def last_miss(cronjob: CronJob, jobs: Sequence[Job], runs: Sequence[Run], now: datetime) -> Miss | None:
    """Return the newest tick that is lost for certain; None if the last run is younger, or nothing may run."""
    floor, seconds = _floor(cronjob, jobs), _deadline_seconds(cronjob)
    if floor is None or seconds is None:
        return None
    spec = cronjob["spec"]
    tick = last_tick(spec["schedule"], spec["timeZone"], now - timedelta(seconds=seconds) - _SLACK)
    if tick is None or tick <= floor or clocks_change_near(spec["timeZone"], tick):
        return None
    return Miss(tick, seconds, _held_up_by(cronjob, runs, tick, tick + timedelta(seconds=seconds)))


def judged_at(cronjob: CronJob, jobs: Sequence[Job], now: datetime) -> datetime | None:
    """Return when a tick that has passed without a run so far will be lost; None where there is none."""
    floor, seconds = _floor(cronjob, jobs), _deadline_seconds(cronjob)
    if floor is None or seconds is None:
        return None
    spec, grace = cronjob["spec"], timedelta(seconds=seconds) + _SLACK
    tick = next_tick(spec["schedule"], spec["timeZone"], max(floor, now - grace))
    return tick + grace if tick is not None and tick <= now else None


def _floor(cronjob: CronJob, jobs: Sequence[Job]) -> datetime | None:
    """Return the time before which no tick is missed; None while none can be."""
    created = parse_timestamp(cronjob["metadata"].get("creationTimestamp"))
    if created is None or cronjob["spec"].get("suspend") or cronjob["metadata"].get("deletionTimestamp"):
        return None
    ran = [job["metadata"].get("annotations", {}).get(constants.ANNOTATION_SCHEDULED_AT) for job in jobs]
    moments = [parse_timestamp(text) for text in (cronjob.get("status", {}).get("lastScheduleTime"), *ran)]
    return max([created, *(moment for moment in moments if moment is not None)])


def _deadline_seconds(cronjob: CronJob) -> int | None:
    seconds: int | None = cronjob["spec"].get("startingDeadlineSeconds")
    return seconds


def _held_up_by(cronjob: CronJob, runs: Sequence[Run], tick: datetime, deadline: datetime) -> str | None:
    if cronjob["spec"].get("concurrencyPolicy") != "Forbid":
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
