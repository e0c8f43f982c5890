"""Cron expressions of five fields and their times, as Kubernetes' CronJob controller computes them.

The controller uses `Next` of robfig/cron v3. Its search decides which of the two day fields count, and what happens to
a local time that a clock change skips or repeats, so this module searches in the same way. tests/integration/schedules
compares it with that library (docs/adr/0031-schedules-as-kubernetes.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_YEARS: Final = 5
"""The search ends this many years later."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = 60
_HOUR: Final = 3600
_NOON: Final = 12


@dataclass(frozen=True)
class CronExpression:
    """The values that each field matches. Weekdays count from Sunday, which is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool
    """Whether day of month and weekday must both match: one of them has a `*` without a step. Otherwise one must."""

    @property
    def ever_fires(self) -> bool:
        """Return whether any day in any year matches."""
        if not self.both_days or len(self.weekdays) < len(WEEKDAYS):
            return True
        return any(day <= _LONGEST_MONTHS[month - 1] for month in self.months for day in self.days)

    def next_after(self, moment: datetime, zone: ZoneInfo, until: datetime | None = None) -> datetime | None:
        """Return the first time after `moment`, in UTC; None if there is none within five years or by `until`."""
        found = _Search(self, moment, zone).run(until or _END_OF_TIME)
        return None if found is None or (until is not None and found > until) else found

    def is_day(self, wall: datetime) -> bool:
        """Return whether the day fields match the day of a local time."""
        matches = (wall.day in self.days, wall.isoweekday() % 7 in self.weekdays)
        return all(matches) if self.both_days else any(matches)


@lru_cache(maxsize=4096)  # each reconciliation parses an expression several times
def parse(text: str) -> CronExpression:
    """Parse five fields.

    Raises:
        ValueError: Kubernetes rejects the expression. The text has field, value and fix.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{text!r} has {len(fields)} fields: use five, such as '0 4 * * *'")
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = (
        field.parse(value) for field, value in zip(_FIELDS, fields, strict=True)
    )
    return CronExpression(minutes, hours, days, months, weekdays, any_day or any_weekday)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()
    """Names of the values, starting at `low`."""

    def parse(self, text: str) -> tuple[frozenset[int], bool]:
        """Return the values, and whether one item is a `*` without a step (other than 1)."""
        items = [self._item(item) for item in text.split(",")]
        return frozenset().union(*(values for values, _ in items)), any(is_star for _, is_star in items)

    def _item(self, item: str) -> tuple[range, bool]:
        span, slash, step_text = item.partition("/")
        first, dash, last = span.partition("-")
        step = self._number(step_text, item) if slash else 1
        if step == 0:
            raise ValueError(f"{self.name} {item!r} has the step 0: use 1 or more")
        if span == "*":
            return range(self.low, self.high + 1, step), step == 1
        start = self._value(first, item)
        end = self._value(last, item) if dash else self.high if slash else start
        if start > end:
            fix = f"{first}-{self.high},{self.low}-{last}"
            raise ValueError(f"{self.name} {item!r} ends before it starts: write two ranges, such as {fix!r}")
        return range(start, end + 1, step), False

    def _value(self, text: str, item: str) -> int:
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        value = self._number(text, item)
        if not self.low <= value <= self.high:
            names = f", or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name} {item!r} has {value}: use {self.low} to {self.high}{names}")
        return value

    def _number(self, text: str, item: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"{self.name} {item!r} has {text!r}: use a number")
        return int(text)


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("weekday", 0, 6, WEEKDAYS),
)


class _Search:
    """One search for the next time, with the same steps as the library, even where the library loses a run.

    Hours and smaller units are added to the instant, days and months to the local time. Whenever a larger unit may
    have changed, the search starts again at the month.
    """

    def __init__(self, expression: CronExpression, after: datetime, zone: ZoneInfo) -> None:
        self._expression = expression
        self._zone = zone
        self._is_aligned = False  # whether all units below the current one are at their start
        self._go_to((after - _EPOCH) // _SECOND + 1)

    def run(self, until: datetime) -> datetime | None:
        last_year, last_instant = self._wall.year + _YEARS, (until - _EPOCH) // _SECOND
        # Each returns whether its unit matches without a change of a larger unit.
        units: tuple[Callable[[], bool], ...] = (self._month, self._day, self._hour, self._minute, self._second)
        while self._wall.year <= last_year and self._instant <= last_instant:
            if all(find() for find in units):
                return _EPOCH + timedelta(seconds=self._instant)
        return None

    def _month(self) -> bool:
        while self._wall.month not in self._expression.months:
            self._align(self._wall.replace(day=1, hour=0, minute=0, second=0))
            years, month = divmod(self._wall.month, 12)
            first = self._wall.replace(year=self._wall.year + years, month=month + 1, day=1)
            self._go_to_wall(first + timedelta(days=self._wall.day - 1))
            if self._wall.month == 1:
                return False
        return True

    def _day(self) -> bool:
        while not self._expression.is_day(self._wall):
            self._align(self._wall.replace(hour=0, minute=0, second=0))
            self._go_to_wall(self._wall + timedelta(days=1))
            if hour := self._wall.hour:  # this day has no midnight
                self._go_to(self._instant + (24 - hour if hour > _NOON else -hour) * _HOUR)
            if self._wall.day == 1:
                return False
        return True

    def _hour(self) -> bool:
        while self._wall.hour not in self._expression.hours:
            self._align(self._wall.replace(minute=0, second=0))
            self._go_to(self._instant + _HOUR)
            if self._wall.hour == 0:
                return False
        return True

    def _minute(self) -> bool:
        while self._wall.minute not in self._expression.minutes:
            if not self._is_aligned:
                self._is_aligned = True
                self._instant -= self._instant % _MINUTE
            self._go_to(self._instant + _MINUTE)
            if self._wall.minute == 0:
                return False
        return True

    def _second(self) -> bool:
        if self._wall.second == 0:
            return True
        self._is_aligned = True
        self._go_to(self._instant + _MINUTE - self._wall.second)
        return False

    def _align(self, wall: datetime) -> None:
        if not self._is_aligned:
            self._is_aligned = True
            self._go_to_wall(wall)

    def _go_to(self, instant: int) -> None:
        self._instant = instant
        self._wall = datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None)

    def _go_to_wall(self, wall: datetime) -> None:
        # As Go's time.Date: this estimate determines the offset of a skipped or repeated local time.
        as_utc = (wall - _NAIVE_EPOCH) // _SECOND
        self._go_to(as_utc - self._offset(as_utc - self._offset(as_utc)))

    def _offset(self, instant: int) -> int:
        wall = datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None)
        return (wall - _NAIVE_EPOCH) // _SECOND - instant
