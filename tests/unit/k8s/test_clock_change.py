import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.k8s.clock_change import Kind, clock_change
from ingestion_operator.k8s.schedule import next_scheduled_time
from testing.cron_cases import EXPRESSIONS

ROOT = Path(__file__).parents[3]
ZURICH = "Europe/Zurich"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "now", "night", "kind", "times"),
    [
        ("30 2 * * *", ZURICH, "2026-03-10", date(2026, 3, 29), Kind.SKIPPED, ["02:30"]),
        ("30 2 * * *", ZURICH, "2026-10-10", date(2026, 10, 25), Kind.DOUBLED, ["02:30"]),
        ("0,30 2,4 * * *", ZURICH, "2026-03-10", date(2026, 3, 29), Kind.SKIPPED, ["02:00", "02:30"]),
        ("0 2 29 3 *", ZURICH, "2026-03-10", date(2026, 3, 29), Kind.SKIPPED, ["02:00"]),
        ("0 0 * * *", "America/Santiago", "2026-09-01", date(2026, 9, 6), Kind.SKIPPED, ["00:00"]),
        ("0 0 * * *", "America/Havana", "2026-10-20", date(2026, 11, 1), Kind.DOUBLED, ["00:00"]),
        ("0 12 * * 5", "Africa/Cairo", "2026-04-01", date(2026, 4, 24), Kind.SKIPPED, ["12:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-03-20", date(2026, 4, 5), Kind.DOUBLED, ["01:45"]),
        ("0 2 * * *", "Australia/Lord_Howe", "2026-03-20", date(2026, 4, 5), Kind.SKIPPED, ["02:00"]),
    ],
    ids=["skipped", "doubled", "two of four", "yearly", "midnight skipped", "midnight doubled", "a whole day",
         "half an hour", "half an hour back skips"],
)  # fmt: skip
def test_a_fixed_hour_that_is_skipped_or_doubled_is_reported(
    cron: str, zone: str, now: str, night: date, kind: Kind, times: list[str]
) -> None:
    change = clock_change(cron, zone, utc(now))
    assert change is not None
    assert (change.night, change.kind, list(change.times)) == (
        night,
        kind,
        [time.fromisoformat(text) for text in times],
    )


@pytest.mark.parametrize(
    ("cron", "zone", "now"),
    [
        ("30 2 * * *", ZURICH, "2026-02-10"),
        ("30 2 * * *", ZURICH, "2026-03-30"),
        ("0 4 * * *", ZURICH, "2026-03-10"),
        ("0 3 * * *", ZURICH, "2026-03-10"),
        ("0 3 * * *", ZURICH, "2026-10-10"),
        ("30 2 * * mon-fri", ZURICH, "2026-03-10"),
        ("30 2 * * *", "UTC", "2026-03-10"),
        ("*/30 * * * *", ZURICH, "2026-03-10"),
        ("0 */2 * * *", ZURICH, "2026-03-10"),
        ("not cron", ZURICH, "2026-03-10"),
    ],
    ids=["too early", "over", "at four", "at the end of the gap", "at the end of the doubled hour", "another day",
         "no clock change", "every half hour", "every second hour", "unreadable"],
)  # fmt: skip
def test_what_no_clock_change_affects_is_not_reported(cron: str, zone: str, now: str) -> None:
    assert clock_change(cron, zone, utc(now)) is None


def test_it_is_reported_for_30_days_until_the_day_is_over() -> None:
    change = clock_change("30 2 * * *", ZURICH, utc("2026-03-10"))
    assert change is not None
    assert change.at == utc("2026-03-29T01:00")
    assert clock_change("30 2 * * *", ZURICH, utc("2026-02-26T22:59")) is None
    assert clock_change("30 2 * * *", ZURICH, utc("2026-02-27T23:00")) == change
    assert clock_change("30 2 * * *", ZURICH, utc("2026-03-29T21:59")) == change
    assert clock_change("30 2 * * *", ZURICH, utc("2026-03-29T22:00")) is None


def test_the_message_names_night_time_and_fix() -> None:
    skipped = clock_change("30 2 * * *", ZURICH, utc("2026-03-10"))
    doubled = clock_change("*/10 2 * * *", ZURICH, utc("2026-10-10"))
    whole_day = clock_change("0 12 * * 5", "Africa/Cairo", utc("2026-04-01"))
    assert skipped is not None
    assert doubled is not None
    assert whole_day is not None
    assert skipped.message == (
        "on 2026-03-29 the clocks of Europe/Zurich go forward from 02:00 to 03:00: the run of 02:30 is skipped"
    )
    assert skipped.fix == "move the schedule out of 02:00-03:00, or use timeZone UTC"
    assert doubled.message == (
        "on 2026-10-25 the clocks of Europe/Zurich go back from 03:00 to 02:00: "
        "the runs of 02:00, 02:10, 02:20 and 3 more start twice"
    )
    assert whole_day.fix == "use timeZone UTC"


COPIED = [*(ROOT / "docs" / "user-guide").glob("*.md"), *ROOT.glob("manifests/samples/*")]
SCHEDULE = re.compile(r'cron: "(\S+ \S+ \S+ \S+ \S+)",?\s+timeZone: ([A-Za-z/]+)')


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.stem)
def test_no_schedule_that_people_copy_is_at_a_changing_hour(path: Path) -> None:
    for cron, zone in SCHEDULE.findall(path.read_text(encoding="utf-8")):
        daily = " ".join([*cron.split()[:2], "* * *"])
        days = [utc("2026-01-01") + timedelta(days=day) for day in range(0, 365, 30)]
        assert {clock_change(daily, zone, day) for day in days} == {None}


@given(EXPRESSIONS, st.sampled_from([ZURICH, "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "UTC"]),
       st.integers(0, 365 * 20))  # fmt: skip
def test_a_reported_time_is_run_never_or_twice_that_night(cron: str, zone: str, day: int) -> None:
    change = clock_change(cron, zone, utc("2020-01-01") + timedelta(days=day))
    if change is None:
        return
    runs: Counter[datetime] = Counter()
    tick = next_scheduled_time(cron, zone, change.at - timedelta(days=8))
    while tick is not None and tick < change.at + timedelta(days=2):
        runs[tick.astimezone(ZoneInfo(zone)).replace(tzinfo=None)] += 1
        tick = next_scheduled_time(cron, zone, tick)
    count = runs[datetime.combine(change.night, change.times[0])]
    assert count == (0 if change.kind is Kind.SKIPPED else 2)
