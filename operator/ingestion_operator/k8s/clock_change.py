"""Runs at fixed hours that the next clock change skips or repeats; pure functions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from ingestion_operator.k8s.cron import CronExpression, parse
from ingestion_operator.k8s.schedule import last_scheduled_time, zone

REPORT_AHEAD: Final = timedelta(days=30)
"""How long in advance a clock change is reported."""

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_UTC: Final = ZoneInfo("UTC")
_SHOWN: Final = 3
_EVERY_FEW_HOURS: Final = frozenset(frozenset(range(0, 24, step)) for step in (1, 2, 3, 4, 6))
"""Hours of schedules that run by interval. One run more or less on one night is expected there."""


class Kind(StrEnum):
    """How the clock change affects the runs."""

    SKIPPED = "skipped"
    DOUBLED = "doubled"


@dataclass(frozen=True)
class ClockChange:
    """A clock change that skips or repeats runs of the schedule."""

    at: datetime
    """When the clocks change, in UTC."""
    night: date
    """The local date of the first run that is skipped or doubled."""
    kind: Kind
    times: tuple[time, ...]
    """The local times of these runs, in order."""
    message: str
    fix: str
    night_begins: datetime
    """The beginning of the local day `night`."""


def clock_change(cron: str, time_zone: str, now: datetime) -> ClockChange | None:
    """Return the first clock change that skips or doubles runs, until the local day of the change is over.

    Args:
        cron: Five fields as in the CronJob.
        time_zone: IANA name.
        now: The search covers this local day and the 30 days from its start.

    Returns:
        None where no run is affected, where the schedule runs by interval (every few hours), or where the expression
        cannot be read.

    """
    place = zone(time_zone)
    midnight = now.astimezone(place).replace(hour=0, minute=0, second=0, microsecond=0)
    return _first(cron, place, midnight.astimezone(UTC))


@lru_cache(maxsize=4096)  # takes milliseconds, and the result is valid for a day
def _first(cron: str, place: ZoneInfo, midnight: datetime) -> ClockChange | None:
    try:
        expression = parse(cron)
    except ValueError:
        return None
    if expression.hours in _EVERY_FEW_HOURS:
        return None
    changes = (_affected(cron, expression, place, at) for at in _changes(place, midnight, midnight + REPORT_AHEAD))
    return next((change for change in changes if change is not None), None)


def _changes(place: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the times at which the offset of the zone changes, at most once a day."""
    while start < end:
        before, after = start, min(start + _DAY, end)
        if _offset(before, place) != _offset(after, place):
            while after - before > _SECOND:
                middle = before + (after - before) // 2
                if _offset(middle, place) == _offset(start, place):
                    before = middle
                else:
                    after = middle
            yield after.replace(microsecond=0)
        start += _DAY


def _affected(cron: str, expression: CronExpression, place: ZoneInfo, at: datetime) -> ClockChange | None:
    new = at.astimezone(place).replace(tzinfo=None)
    old = at.replace(tzinfo=None) + _offset(at - _SECOND, place)
    first = datetime.combine(min(old, new).date() - _DAY, time())
    last = datetime.combine(max(old, new).date() + 2 * _DAY, time())
    wanted = _by_constant_clocks(expression, first, last)
    got = Counter(wall for wall in _by_the_controller(cron, expression, place, at, last) if first <= wall < last)
    skipped = [wall for wall in wanted if not got[wall]]
    doubled = [wall for wall in wanted if got[wall] > 1]
    if not skipped and not doubled:
        return None
    kind, walls = (Kind.SKIPPED, skipped) if skipped else (Kind.DOUBLED, doubled)
    start, end = sorted((old, new))
    if all(start <= wall < end for wall in walls):
        fix = f"move the schedule out of {start:%H:%M}-{end:%H:%M}, or use timeZone UTC"
    else:
        fix = "use timeZone UTC"
    direction = "forward" if new > old else "back"
    one = len(walls) == 1
    what = {
        Kind.SKIPPED: "is skipped" if one else "are skipped",
        Kind.DOUBLED: "starts twice" if one else "start twice",
    }
    message = (
        f"on {walls[0]:%Y-%m-%d} the clocks of {place.key} go {direction} from {old:%H:%M} to {new:%H:%M}: "
        f"{_runs(walls)} {what[kind]}"
    )
    begins = datetime.combine(walls[0].date(), time(), place).astimezone(UTC)
    return ClockChange(at, walls[0].date(), kind, tuple(wall.time() for wall in walls), message, fix, begins)


def _by_constant_clocks(expression: CronExpression, first: datetime, last: datetime) -> list[datetime]:
    """Return the scheduled local times from `first` until before `last` without a clock change."""
    until = last.replace(tzinfo=UTC) - _SECOND
    walls, scheduled = [], expression.next_after(first.replace(tzinfo=UTC) - _SECOND, _UTC, until)
    while scheduled is not None:
        walls.append(scheduled.replace(tzinfo=None))
        scheduled = expression.next_after(scheduled, _UTC, until)
    return walls


def _by_the_controller(
    cron: str, expression: CronExpression, place: ZoneInfo, at: datetime, last: datetime
) -> Iterator[datetime]:
    """Yield the local times at which the CronJob controller starts runs, from some days before the change."""
    start, until = at - 4 * _DAY, at + 4 * _DAY
    scheduled = expression.next_after(last_scheduled_time(cron, place.key, start) or start, place, until)
    while scheduled is not None and (wall := scheduled.astimezone(place).replace(tzinfo=None)) < last:
        yield wall
        scheduled = expression.next_after(scheduled, place, until)


def _offset(moment: datetime, place: ZoneInfo) -> timedelta:
    return moment.astimezone(place).utcoffset() or timedelta()


def _runs(walls: Sequence[datetime]) -> str:
    shown = ", ".join(f"{wall:%H:%M}" for wall in walls[:_SHOWN])
    more = f" and {len(walls) - _SHOWN} more" if len(walls) > _SHOWN else ""
    return f"the run{'s' if len(walls) > 1 else ''} of {shown}{more}"
