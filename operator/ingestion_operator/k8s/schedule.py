"""Cron expressions, time zones, windows and durations in the notation of the custom resource; pure functions.

The CRD's CEL rules use the same regular expressions (RE2 syntax, anchored there by ^ and $), so that the API server
and this program accept the same texts.
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
    # Not (?i:…), which also matches letters beyond ASCII that only some parsers treat as an s.
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
"""The last 29 February may be four years ago."""
_END_OF_TIME: Final = datetime.max.replace(microsecond=0, tzinfo=UTC)
SECONDS_PER_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def is_cron(text: str) -> bool:
    """Return whether `text` is a preset or has the form of five cron fields."""
    return text in PRESETS or re.fullmatch(CRON_PATTERN, text) is not None


def duration_seconds(text: str) -> int:
    """Return the seconds of a duration: one number and one unit, such as 90m. Raises ValueError for any other text."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: use one number and one unit, such as 90m, 2h or 7d")
    return int(text[:-1]) * SECONDS_PER_UNIT[text[-1]]


def normalise_cron(text: str) -> str:
    """Return five fields that Kubernetes accepts: presets are expanded, weekday 7 becomes 0.

    Raises:
        Rejected: InvalidSchedule: Kubernetes rejects the expression, or it never fires.
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
        return item  # `parse` rejects it
    return ",".join(dict.fromkeys(str(day % 7) for day in range(start, end + 1, int(step or 1))))


def _weekday_number(text: str) -> int:
    return int(text) if text.isdecimal() else WEEKDAYS.index(text.lower())


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone. Raises Rejected (UnknownTimeZone) if it does not exist."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected(
            "UnknownTimeZone",
            f"spec.schedule.timeZone {name!r} is not in the IANA database: use e.g. Europe/Zurich or UTC",
        ) from error


def next_scheduled_time(cron: str, time_zone: str, after: datetime, since: datetime | None = None) -> datetime | None:
    """Return the first scheduled time after `after`, in UTC.

    Args:
        cron: Five fields.
        time_zone: IANA name.
        after: Any moment.
        since: The start of the CronJob controller's search, such as lastScheduleTime. It matters only on the night of
            a clock change: a search with a later start may find a time that the controller skips.

    Returns:
        None if the expression never fires or is invalid.

    """
    expression = _read(cron)
    if expression is None:
        return None
    if since is not None and since < after:
        after = last_scheduled_time(cron, time_zone, after, since) or since
    return expression.next_after(after, zone(time_zone))


def last_scheduled_time(cron: str, time_zone: str, until: datetime, since: datetime | None = None) -> datetime | None:
    """Return the last scheduled time up to and including `until`, in UTC.

    Args:
        cron: Five fields.
        time_zone: IANA name.
        until: Any moment.
        since: The start of the CronJob controller's search, such as lastScheduleTime: only later times count. Without
            it the search goes back some years.

    Returns:
        None if none is found, or if the expression is invalid.

    """
    expression, place = _read(cron), zone(time_zone)
    if expression is None:
        return None
    for start in _starts(until, since, place):
        last, found = None, expression.next_after(start, place, until)
        while found is not None:
            last, found = found, expression.next_after(found, place, until)
        if last is not None:
            return last
    return None


def _starts(until: datetime, since: datetime | None, place: ZoneInfo) -> Iterator[datetime]:
    """Yield earlier and earlier starts whose search finds the same times as a search from `since`."""
    span = _FIRST_SPAN
    while span < _LONGEST_SPAN:
        start = until - span
        # A search that starts during a clock change may find times that an earlier start does not.
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
    """The position of a moment relative to startDate and endDate."""

    NOT_STARTED = "NotStarted"
    OPEN = "Open"
    ENDED = "Ended"


def window(start: datetime | None, end: datetime | None, now: datetime) -> Window:
    """Return the position of `now`. startDate and endDate themselves are part of the open window."""
    if start is not None and now < start:
        return Window.NOT_STARTED
    if end is not None and now > end:
        return Window.ENDED
    return Window.OPEN


def next_boundary(start: datetime | None, end: datetime | None, now: datetime) -> datetime | None:
    """Return the next moment at which the result of `window` changes, if there is one."""
    # The end date itself is part of the open window, hence the second. The largest datetime has no later one.
    after_end = end + timedelta(seconds=1) if end and end < _END_OF_TIME else None
    moments = [start, after_end]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
