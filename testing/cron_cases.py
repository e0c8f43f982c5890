"""Random cron expressions, and instants at which schedules are hard: around the clock changes of all zones."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from ingestion_operator.k8s.cron import MONTHS, WEEKDAYS

ZONES: Final = sorted(
    name for name in zoneinfo.available_timezones() if name not in {"localtime", "Factory", "posixrules"}
)
"""Not only today's rules: southern, half-hour, and zones whose midnights were skipped."""

_HARD: Final = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago",
                "Africa/Casablanca", "Pacific/Apia", "Asia/Beirut", "Antarctica/Troll", "America/Havana")  # fmt: skip
_DAY: Final = 86400


def _value(low: int, high: int, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high).map(str)
    return numbers | st.sampled_from([*names, *(name.upper() for name in names)]) if names else numbers


def _item(low: int, high: int, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    value = _value(low, high, names)
    steps = st.just("") | st.sampled_from(["", "", "/1", "/2", "/5", "/7"]) | st.integers(1, 99).map("/{}".format)
    ordered = st.lists(st.integers(low, high), min_size=2, max_size=2).map(sorted)
    spans = st.just("*") | value | ordered.map(lambda ends: f"{ends[0]}-{ends[1]}")
    return st.builds(str.__add__, spans, steps)


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """One field: values, names, ranges that run forwards, steps and lists of them."""
    return st.lists(_item(low, high, names), min_size=1, max_size=3).map(",".join)


_EVERY: Final = st.just("*")

EXPRESSIONS: Final = st.tuples(
    st.sampled_from(["0", "30", "*/15"]) | field(0, 59),
    st.sampled_from(["0", "1", "2", "3", "12", "23"]) | field(0, 23),
    _EVERY | field(1, 31),
    _EVERY | field(1, 12, MONTHS),
    _EVERY | field(0, 6, WEEKDAYS),
).map(" ".join)
"""Of all forms that Kubernetes and the custom resource accept, at night more often than at day."""


def clock_changes(zone: ZoneInfo, year: int) -> list[int]:
    """Return the instants of a year, in seconds since 1970, at which the zone's offset changes."""
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    return [
        _change(zone, before)
        for before in range(start, start + 366 * _DAY, _DAY)
        if _offset(zone, before) != _offset(zone, before + _DAY)
    ]


def _change(zone: ZoneInfo, before: int) -> int:
    after, offset = before + _DAY, _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def _offset(zone: ZoneInfo, instant: int) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()


@st.composite
def places_and_instants(draw: st.DrawFn) -> tuple[str, int]:
    """Return a zone, and an instant within 36 hours of one of its clock changes if the year has one."""
    name = draw(st.sampled_from(_HARD) | st.sampled_from(ZONES))
    year = draw(st.integers(1973, 2060))
    changes = clock_changes(ZoneInfo(name), year)
    if not changes:
        return name, int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) + draw(st.integers(0, 366 * _DAY))
    return name, draw(st.sampled_from(changes)) + draw(st.integers(-36 * 60, 36 * 60)) * 60 + draw(st.integers(0, 59))
