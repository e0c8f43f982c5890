"""Cron expressions, time zones, windows and durations, as the custom resource writes them.

The regular expressions are shared with the CRD's CEL rules (RE2 syntax, anchored there by ^ and $), so that
the API server and this program accept the same texts.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.cron import MONTHS, WEEKDAYS, CronExpression, parse

PRESETS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


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
        _field(f"0?[1-9]|1[0-2]|{_any_case(MONTHS)}"),
        _field(f"[0-7]|{_any_case(WEEKDAYS)}"),
    )
)
TIME_ZONE_PATTERN: Final = "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"
DURATION_PATTERN: Final = "[1-9][0-9]{0,5}(s|m|h|d)"
_NEAR: Final = timedelta(days=2)
_FIRST_SPAN: Final = timedelta(hours=1)
_LONGEST_SPAN: Final = timedelta(days=366 * 8)
"""29 February may be four years ago."""
_END_OF_TIME: Final = datetime.max.replace(microsecond=0, tzinfo=UTC)
SECONDS_PER_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def is_cron(text: str) -> bool:
    """Return whether `text` has the shape of a preset or of five cron fields."""
    return text in PRESETS or re.fullmatch(CRON_PATTERN, text) is not None


def duration_seconds(text: str) -> int:
    """Return the seconds of one number and one unit, such as 90m.

    Raises ValueError for any other shape.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: use one number and one unit, such as 90m, 2h or 7d")
    return int(text[:-1]) * SECONDS_PER_UNIT[text[-1]]


def normalise_cron(text: str) -> str:
    """Return five fields that Kubernetes accepts: presets spelled out, weekday 7 written as 0.

    Raises Rejected (InvalidSchedule), with field, value and fix, for what no CronJob accepts or what never fires.
    """
    expression = PRESETS.get(text, text)
    if not is_cron(expression):
        raise Rejected(
            "InvalidSchedule",
            f"spec.schedule.cron {text!r} is not a five-field cron expression: "
            f"use e.g. '0 4 * * *' or one of {', '.join(PRESETS)}",
        )
    *others, weekday = expression.split()
    normal = " ".join([*others, ",".join(_normalise_weekday(item) for item in weekday.split(","))])
    try:
        parsed = parse(normal)
    except ValueError as error:
        raise Rejected("InvalidSchedule", f"spec.schedule.cron {text!r}: {error}") from error
    if not parsed.ever_fires:
        raise Rejected(
            "InvalidSchedule",
            f"spec.schedule.cron {text!r} never fires, since no month {others[3]!r} has a day {others[2]!r}: "
            "use a day that one of these months has",
        )
    return normal


def _normalise_weekday(item: str) -> str:
    days, _, step = item.partition("/")
    first, dash, last = days.partition("-")
    if "7" not in (first, last):
        return item
    start, end = _weekday_number(first), _weekday_number(last) if dash else 7
    if start > end:
        return item  # the parser that follows refuses it
    return ",".join(dict.fromkeys(str(day % 7) for day in range(start, end + 1, int(step or 1))))


def _weekday_number(text: str) -> int:
    return int(text) if text.isdecimal() else WEEKDAYS.index(text.lower())


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone. Raises Rejected (UnknownTimeZone) when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected(
            "UnknownTimeZone",
            f"spec.schedule.timeZone {name!r} is not in the IANA database: use e.g. Europe/Zurich or UTC",
        ) from error


def next_tick(cron: str, time_zone: str, after: datetime, since: datetime | None = None) -> datetime | None:
    """Return the first tick after `after` in UTC.

    Args:
        cron: Five fields.
        time_zone: IANA name.
        after: Any moment.
        since: Where the CronJob controller's search begins, such as lastScheduleTime. Only on the night of a clock
            change it matters: a search from a later moment may find a tick that the controller skips.

    Returns:
        None where the expression does not fire or cannot be read.

    """
    expression = _read(cron)
    if expression is None:
        return None
    if since is not None and since < after:
        after = last_tick(cron, time_zone, after, since) or since
    return expression.next_after(after, zone(time_zone))


def last_tick(cron: str, time_zone: str, until: datetime, since: datetime | None = None) -> datetime | None:
    """Return the last tick until `until`, itself included, in UTC.

    Args:
        cron: Five fields.
        time_zone: IANA name.
        until: Any moment.
        since: Where the CronJob controller's search begins, such as lastScheduleTime: ticks lie after it. Without it
            the search goes back some years.

    Returns:
        None where there is no tick, or where the expression cannot be read.

    """
    expression, place = _read(cron), zone(time_zone)
    if expression is None:
        return None
    for start in _starts(until, since, place):
        last, tick = None, expression.next_after(start, place, until)
        while tick is not None:
            last, tick = tick, expression.next_after(tick, place, until)
        if last is not None:
            return last
    return None


def _starts(until: datetime, since: datetime | None, place: ZoneInfo) -> Iterator[datetime]:
    """Yield ever earlier moments from which a search gives the ticks that a search from `since` gives."""
    span = _FIRST_SPAN
    while span < _LONGEST_SPAN:
        start = until - span
        # From the middle of a clock change a search may find ticks that one from before it does not.
        while (start - _NEAR).astimezone(place).utcoffset() != (start + _NEAR).astimezone(place).utcoffset():
            start -= 2 * _NEAR
        if since is not None and start <= since:
            break
        yield start
        span *= 4
    if since is not None:
        yield since


def _read(cron: str) -> CronExpression | None:
    try:
        return parse(cron)
    except ValueError:
        return None


class Window(StrEnum):
    """Where a moment lies with regard to startDate and endDate."""

    NOT_STARTED = "NotStarted"
    OPEN = "Open"
    ENDED = "Ended"


def window(start: datetime | None, end: datetime | None, now: datetime) -> Window:
    """Return whether the schedule is open; startDate and endDate themselves belong to the open time."""
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
