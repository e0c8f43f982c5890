import contextlib
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion_operator.errors import Rejected
from ingestion_operator.k8s import cron
from ingestion_operator.k8s.schedule import (
    CRON_PATTERN,
    PRESETS,
    Window,
    duration_seconds,
    is_cron,
    last_scheduled_time,
    next_boundary,
    next_scheduled_time,
    normalise_cron,
    window,
    zone,
)

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001  the zone follows
    max_value=datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))


def _normal(text: str) -> str | None:
    try:
        return normalise_cron(text)
    except Rejected:
        return None


@given(st.from_regex(CRON_PATTERN, fullmatch=True) | st.sampled_from(sorted(PRESETS)))
@example("0 0 * * 7/2")
@example("0 0 * * sUn-7,0-7/3,*/2")
def test_normalisation_refuses_with_a_reason_or_is_idempotent(
    text: str,
) -> None:
    assert is_cron(text)
    normal = _normal(text)
    if normal is None:
        with pytest.raises(Rejected, match=re.escape(repr(text))) as caught:
            normalise_cron(text)
        assert caught.value.reason == "InvalidSchedule"
        return
    assert next_scheduled_time(normal, "UTC", datetime(2026, 1, 1, tzinfo=UTC)) is not None
    assert normalise_cron(normal) == normal
    assert not re.search("7", normal.split()[4].split("/")[0])


@given(st.text(max_size=30))
def test_arbitrary_text_is_normalised_or_rejected(text: str) -> None:
    with contextlib.suppress(Rejected):
        assert len(normalise_cron(text).split()) == 5


@pytest.mark.parametrize(("preset", "fields"), sorted(PRESETS.items()))
def test_a_preset_is_spelled_out(preset: str, fields: str) -> None:
    assert is_cron(preset)
    assert normalise_cron(preset) == fields


@pytest.mark.parametrize(
    ("weekday", "normal"),
    [
        ("7", "0"),
        ("0", "0"),
        ("1,7", "1,0"),
        ("5-7", "5,6,0"),
        ("0-7", "0,1,2,3,4,5,6"),
        ("1-7/2", "1,3,5,0"),
        ("fri-7", "5,6,0"),
        ("SUN-7", "0,1,2,3,4,5,6"),
        ("7-7", "0"),
        ("7/2", "0"),
        ("*/7", "*/7"),
        ("mon-fri", "mon-fri"),
        ("1/7", "1/7"),
        ("fri/2", "fri/2"),
    ],
)
def test_weekday_7_becomes_0(weekday: str, normal: str) -> None:
    assert normalise_cron(f"0 2 * * {weekday}") == f"0 2 * * {normal}"


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@reboot",
     "@every 1h", "TZ=UTC 0 2 * * *", "0 2 * * *\n", "0 2 * * \u017fun", "0\t2 * * *", "*/0 * * * *",
     "? * * * *", "0 0 L * *"],
)  # fmt: skip
def test_another_expression_is_rejected_with_the_fix(text: str) -> None:
    assert not is_cron(text)
    with pytest.raises(Rejected, match=r"use e\.g\. '0 4") as caught:
        normalise_cron(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 0 30 2 *", "never fires, since no month '2' has a day '30': use a day that one of these months has"),
        ("0 0 31 feb,4-6/2 */1", "never fires, since no month 'feb,4-6/2' has a day '31': use a day"),
        ("0 5-2 * * *", "hour '5-2' ends before it starts: write two ranges, such as '5-23,0-2'"),
        ("0 0 * dec-jan *", "month 'dec-jan' ends before it starts: write two ranges, such as 'dec-12,1-jan'"),
        ("0 0 * * 7-2", "weekday '7-2' has 7: use 0 to 6, or sun to sat"),
    ],
)
def test_what_kubernetes_cannot_run_is_rejected_with_a_fix(text: str, problem: str) -> None:
    with pytest.raises(Rejected, match=re.escape(f"spec.schedule.cron {text!r}")) as caught:
        normalise_cron(text)
    assert problem in caught.value.message
    assert caught.value.reason == "InvalidSchedule"


@pytest.mark.parametrize("text", ["0 0 31 2 1", "0 0 30 2 */2", "0 0 29 2 *", "0 0 31 2,3 *"])
def test_a_day_that_may_not_exist_is_accepted_if_another_does(text: str) -> None:
    assert normalise_cron(text) == text


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("90m", 5400), ("2h", 7200), ("7d", 604800)])
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "1", "1w", "-1s", "1.5h", "1h30m", " 1h", "1h\n", "1234567s", "01h"])
def test_any_other_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90m, 2h or 7d"):
        duration_seconds(text)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "/etc/localtime", "", "Europe", "\x00"])
def test_an_unknown_time_zone_is_rejected_naming_examples(name: str) -> None:
    with pytest.raises(Rejected, match=r"use e\.g\. Europe/Zurich or UTC") as caught:
        zone(name)
    assert caught.value.reason == "UnknownTimeZone"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_next_tick_is_in_utc_and_follows_the_zone() -> None:
    before = utc("2026-03-28T12:00")  # the clocks change on the 29th
    assert next_scheduled_time("0 12 * * *", "Europe/Zurich", before) == utc("2026-03-29T10:00")
    assert next_scheduled_time("0 12 * * *", "UTC", before) == utc("2026-03-29T12:00")


def test_a_tick_is_never_its_own_next() -> None:
    tick = utc("2026-03-01T02:00")
    for part in (0, 1, 999_999):
        assert next_scheduled_time("0 2 * * *", "UTC", tick + timedelta(microseconds=part)) == tick + timedelta(days=1)
    assert next_scheduled_time("0 2 * * *", "UTC", tick - timedelta(microseconds=1)) == tick


@pytest.mark.parametrize("text", ["0 0 31 2 *", "", "? * * * *", "TZ=UTC 0 2 * * *", "0 0 * * 7", "*/0 * * * *"])
def test_what_cannot_be_read_or_never_fires_has_no_ticks(text: str) -> None:
    assert next_scheduled_time(text, "UTC", utc("2026-01-01")) is None
    assert next_scheduled_time(text, "UTC", utc("2026-01-01"), utc("2025-01-01")) is None
    assert last_scheduled_time(text, "UTC", utc("2026-01-01")) is None


@pytest.mark.parametrize(
    ("cron", "until", "tick"),
    [
        ("30 2 * * *", "2026-03-29T12:00", "2026-03-28T01:30"),
        ("30 2 * * *", "2026-10-25T01:00", "2026-10-25T00:30"),
        ("30 2 * * *", "2026-10-25T12:00", "2026-10-25T01:30"),
        ("0 0 29 2 *", "2026-10-25T12:00", "2024-02-28T23:00"),
        ("0 4 * * *", "2026-06-02T02:00", "2026-06-02T02:00"),
        ("0 4 * * *", "2026-06-02T01:59", "2026-06-01T02:00"),
    ],
    ids=["skipped", "doubled, first", "doubled, second", "years ago", "now", "in a minute"],
)
def test_the_last_tick_is_the_newest_until_then(cron: str, until: str, tick: str) -> None:
    assert last_scheduled_time(cron, "Europe/Zurich", utc(until)) == utc(tick)
    assert last_scheduled_time(cron, "Europe/Zurich", utc(until), utc("2020-01-01")) == utc(tick)
    assert last_scheduled_time(cron, "Europe/Zurich", utc(until), utc(tick)) is None


def test_the_controllers_search_goes_on_from_the_last_run() -> None:
    # Friday 24 April 2026 has no midnight in Cairo, so that the controller goes on to the next Friday.
    last, friday = utc("2026-04-17T10:00"), utc("2026-04-24T08:00")
    assert next_scheduled_time("0 12 * * 5", "Africa/Cairo", friday) == utc("2026-04-24T09:00")
    assert next_scheduled_time("0 12 * * 5", "Africa/Cairo", friday, last) == utc("2026-05-01T09:00")
    assert last_scheduled_time("0 12 * * 5", "Africa/Cairo", utc("2026-04-25T08:00"), last) is None


@given(st.text(max_size=30) | st.from_regex(CRON_PATTERN, fullmatch=True))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert cron.parse(text).minutes <= set(range(60))


@given(st.none() | MOMENTS, st.none() | MOMENTS, MOMENTS)
@example(None, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
def test_the_window_changes_exactly_at_the_next_boundary(
    start: datetime | None, end: datetime | None, now: datetime
) -> None:
    boundary = next_boundary(start, end, now)
    state = window(start, end, now)
    if boundary is None:
        later = datetime.max.replace(microsecond=0, tzinfo=UTC)
        assert window(start, end, later) == state
    else:
        assert boundary > now
        assert window(start, end, max(now, boundary - timedelta(seconds=1))) == state
        if start is None or end is None or start <= end:
            assert window(start, end, boundary) != state


def test_startdate_and_enddate_belong_to_the_open_window() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert window(start, end, start - second) is Window.NOT_STARTED
    assert window(start, end, start) is Window.OPEN
    assert window(start, end, end) is Window.OPEN
    assert window(start, end, end + second) is Window.ENDED
    assert window(None, None, start) is Window.OPEN


def test_zone_returns_the_iana_zone() -> None:
    assert zone("Europe/Zurich") == ZoneInfo("Europe/Zurich")
