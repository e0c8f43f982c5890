"""Cron expressions, time zones, windows and durations, as the custom resource writes them.

The regular expressions are shared with the CRD's CEL rules (RE2 syntax, anchored there by ^ and $), so that
the API server and this program accept the same texts.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ingestion_operator.errors import Rejected

PRESETS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _any_case(names: Iterable[str]) -> str:
    # Not (?i:…), which lets through letters that only some parsers take for an s.
    return "|".join("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in names)


def _field(value: str) -> str:
    item = f"([*]|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


CRON_PATTERN: Final = " +".join(
    (
        _field("[0-5]?[0-9]"),
        _field("[01]?[0-9]|2[0-3]"),
        _field("0?[1-9]|[12][0-9]|3[01]"),
        _field(f"0?[1-9]|1[0-2]|{_any_case(_MONTHS)}"),
        _field(f"[0-7]|{_any_case(_WEEKDAYS)}"),
    )
)
TIME_ZONE_PATTERN: Final = "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"
DURATION_PATTERN: Final = "[1-9][0-9]{0,5}(s|m|h|d)"
_NEAR: Final = timedelta(hours=3)
_END_OF_TIME: Final = datetime.max.replace(microsecond=0, tzinfo=UTC)
SECONDS_PER_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def is_cron(text: str) -> bool:
    """Tell whether `text` has the shape of a preset or of five cron fields."""
    return text in PRESETS or re.fullmatch(CRON_PATTERN, text) is not None


def duration_seconds(text: str) -> int:
    """Return the seconds of one number and one unit, such as 90m.

    Raises ValueError for any other shape.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration: use one number and one unit, such as 90m, 2h or 7d")
    return int(text[:-1]) * SECONDS_PER_UNIT[text[-1]]


def normalise_cron(text: str) -> str:
    """Return five fields that Kubernetes takes: presets spelled out, weekday 7 written as 0.

    Raises Rejected (InvalidSchedule) for what no CronJob accepts.
    """
    expression = PRESETS.get(text, text)
    if not is_cron(expression):
        raise Rejected(
            "InvalidSchedule",
            f"spec.schedule.cron {text!r} is no five-field cron expression: "
            f"use e.g. '0 2 * * *' or one of {', '.join(PRESETS)}",
        )
    *others, weekday = expression.split()
    normal = " ".join([*others, ",".join(_normalise_weekday(item) for item in weekday.split(","))])
    try:
        CronSim(normal, datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as error:
        raise Rejected(
            "InvalidSchedule",
            f"spec.schedule.cron {text!r} names a day or range that does not exist ({error}): correct it",
        ) from error
    return normal


def _normalise_weekday(item: str) -> str:
    days, _, step = item.partition("/")
    first, dash, last = days.partition("-")
    if step and not dash and first not in ("*", "7"):
        return f"{first}-6/{step}"  # to Saturday, as Kubernetes counts; others count to Sunday
    if "7" not in (first, last):
        return item
    start, end = _weekday_number(first), _weekday_number(last) if dash else 7
    if start > end:
        return item  # the parser that follows names the reversed range
    return ",".join(dict.fromkeys(str(day % 7) for day in range(start, end + 1, int(step or 1))))


def _weekday_number(text: str) -> int:
    return int(text) if text.isdecimal() else _WEEKDAYS.index(text.lower())


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone. Raises Rejected (UnknownTimeZone) when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected(
            "UnknownTimeZone",
            f"spec.schedule.timeZone {name!r} is not in the IANA database: use e.g. Europe/Zurich or UTC",
        ) from error


def next_tick(cron: str, time_zone: str, after: datetime) -> datetime | None:
    """Return the first tick after `after` in UTC, or None where the expression never fires.

    Only told to people: Kubernetes decides when a CronJob fires.
    """
    try:
        tick = next(CronSim(cron, after.astimezone(zone(time_zone))), None)
    except CronSimError:
        return None
    return tick.astimezone(ZoneInfo("UTC")) if tick else None


def last_tick(cron: str, time_zone: str, until: datetime) -> datetime | None:
    """Return the last tick until `until`, itself included, in UTC, or None where the expression never fires."""
    after = until.replace(microsecond=0) + timedelta(seconds=1)
    try:
        tick = next(CronSim(cron, after.astimezone(zone(time_zone)), reverse=True), None)
    except CronSimError:
        return None
    return tick.astimezone(ZoneInfo("UTC")) if tick else None


def clocks_change_near(time_zone: str, moment: datetime) -> bool:
    """Tell whether the zone's clocks are put forward or back around `moment`: programs differ about ticks then."""
    local = moment.astimezone(zone(time_zone))
    return (local - _NEAR).utcoffset() != (local + _NEAR).utcoffset()


class Window(StrEnum):
    """Where a moment lies with regard to startDate and endDate."""

    NOT_STARTED = "NotStarted"
    OPEN = "Open"
    ENDED = "Ended"


def window(start: datetime | None, end: datetime | None, now: datetime) -> Window:
    """Tell whether the schedule is open; startDate and endDate themselves belong to the open time."""
    if start is not None and now < start:
        return Window.NOT_STARTED
    if end is not None and now > end:
        return Window.ENDED
    return Window.OPEN


def next_boundary(start: datetime | None, end: datetime | None, now: datetime) -> datetime | None:
    """Return the next moment at which `window` changes its answer, if there is one."""
    # The end date itself still belongs to the open time, hence the second; the end of time has none after it.
    after_end = end + timedelta(seconds=1) if end and end < _END_OF_TIME else None
    moments = [start, after_end]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
