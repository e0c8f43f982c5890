"""When expressions fire. The expected times are robfig/cron v3's; tests/integration/schedules compares more."""

import re
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingestion_operator.k8s.cron import parse


def ticks(cron: str, zone: str, after: str, count: int) -> list[str]:
    found, moment = [], datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        tick = parse(cron).next_after(moment, ZoneInfo(zone))
        assert tick is not None
        found.append(f"{tick:%m-%dT%H:%M}")
        moment = tick
    return found


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 2 */2 * 1", ["02", "03", "05"]),
        ("0 2 1-31 * 1", ["02", "03", "04"]),
        ("0 2 */1 * 1", ["02", "09", "16"]),
        ("0 2 15 * 1", ["02", "09", "15"]),
        ("0 2 15 * *", ["15", "15", "15"]),
        ("0 2 15 * 0-6", ["02", "03", "04"]),
        ("0 2 15 * *,1", ["15", "15", "15"]),
    ],
    ids=[
        "a star with a step is one of two", "a range is one of two", "a star with step 1 binds the other",
        "one of two is enough", "a star binds the other", "a range of all weekdays", "a star in a list",
    ],
)  # fmt: skip
def test_which_of_the_two_day_fields_decide(cron: str, days: list[str]) -> None:
    assert [tick[3:5] for tick in ticks(cron, "UTC", "2026-03-01T12:00", 3)] == days


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00", ["03-30T00:30", "03-31T00:30"]),
        ("30 2 * * *", "Europe/Zurich", "2026-10-24T12:00", ["10-25T00:30", "10-25T01:30", "10-26T01:30"]),
        ("*/30 * * * *", "Europe/Zurich", "2026-03-29T00:15", ["03-29T00:30", "03-29T01:00", "03-29T01:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01T00:00", ["11-01T05:30", "11-01T06:30", "11-02T06:30"]),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", ["09-07T03:00", "09-08T03:00"]),
        ("0 12 * * 5", "Africa/Cairo", "2026-04-20T12:00", ["05-01T09:00", "05-08T09:00"]),
        ("0 2 * * *", "Australia/Lord_Howe", "2026-04-03T16:00", ["04-05T15:30", "04-06T15:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["04-04T14:45", "04-04T15:15", "04-05T15:15"]),
    ],
    ids=[
        "skipped", "doubled", "half hours over the gap", "doubled in the west", "midnight skipped",
        "a whole day skipped", "half an hour back skips", "half an hour back doubles",
    ],
)  # fmt: skip
def test_both_nights_of_a_clock_change(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert ticks(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("cron", "minutes"),
    [
        ("5/20 * * * *", {5, 25, 45}),
        ("10-20/5,59 * * * *", {10, 15, 20, 59}),
        ("*/50 * * * *", {0, 50}),
        ("7,7,007 * * * *", {7}),
    ],
)
def test_the_values_of_a_field(cron: str, minutes: set[int]) -> None:
    assert parse(cron).minutes == minutes


def test_names_are_values_in_any_case() -> None:
    named, numbered = parse("0 0 * jan,MAR-May Sun,FRI/1"), parse("0 0 * 1,3-5 0,5,6")
    assert named == numbered


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("0 0 * *", "has 4 fields: use five"),
        ("60 0 * * *", "minute '60' has 60: use 0 to 59"),
        ("0 0 0 * *", "day of month '0' has 0: use 1 to 31"),
        ("0 */0 * * *", "hour '*/0' has the step 0: use 1 or more"),
        ("0 0 * foo *", "month 'foo' has 'foo': use a number"),
        ("0 0 * * fri-mon", "weekday 'fri-mon' ends before it starts: write two ranges, such as 'fri-6,0-mon'"),
    ],
)
def test_what_kubernetes_does_not_accept_names_field_and_fix(cron: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse(cron)


def test_the_search_ends_after_five_years() -> None:
    moment = datetime(2097, 3, 1, tzinfo=UTC)  # 2100 is not a leap year
    assert parse("0 0 29 2 *").next_after(moment, ZoneInfo("UTC")) is None
    assert not parse("0 0 31 4,6 *").ever_fires


def test_the_search_ends_at_its_end() -> None:
    daily, start = parse("0 2 * * *"), datetime(2026, 3, 1, 12, tzinfo=UTC)
    tick = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert daily.next_after(start, ZoneInfo("UTC"), tick) == tick
    assert daily.next_after(start, ZoneInfo("UTC"), tick.replace(hour=1)) is None


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 29 2 *", "0 0 30 2 *"], ids=["daily", "leap days", "never"])
def test_a_search_takes_milliseconds_at_most(cron: str) -> None:
    def once() -> float:
        start = time.process_time()
        parse(cron).next_after(datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Zurich"))
        return time.process_time() - start

    assert min(once() for _ in range(20)) < 0.01
