"""Schedules as Kubernetes' CronJob controller computes them: compared with the library that it uses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.schedule import (
    CRON_PATTERN,
    PRESETS,
    last_scheduled_time,
    next_scheduled_time,
    normalise_cron,
)
from testing.cron_cases import EXPRESSIONS, places_and_instants
from testing.cron_oracle import Robfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def moment(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def ticks(cron: str, zone: str, after: int, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count and (tick := next_scheduled_time(cron, zone, moment(found[-1] if found else after))):
        found.append(int(tick.timestamp()))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after"),
    [
        ("0 2 */2 * 1", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 1-31 * 1", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 1 * */2", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 1 * */1", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 * * 1-5", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 15 * 1", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 31 2 1", "UTC", "2026-03-01T12:00:00Z"),
        ("5/15 * * * *", "UTC", "2026-03-01T12:00:00Z"),
        ("0 2 * * fri/2", "UTC", "2026-03-01T12:00:00Z"),
        ("0 0 29 2 *", "UTC", "2026-03-01T12:00:00Z"),
        ("0 0 29 2 *", "UTC", "2097-03-01T12:00:00Z"),
        ("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00:00Z"),
        ("30 2 * * *", "Europe/Zurich", "2026-10-24T12:00:00Z"),
        ("*/30 * * * *", "Europe/Zurich", "2026-10-25T00:20:00Z"),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z"),
        ("0 12 * * 5", "Africa/Cairo", "2026-04-20T12:00:00Z"),
        ("0 2 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
        ("0 0 1 4 *", "Asia/Amman", "2005-03-01T12:00:00Z"),
    ],
    ids=[
        "every second day and a weekday", "a range of all days and a weekday", "a day and every second weekday",
        "a day and a star with step 1", "weekdays", "a day or a weekday", "a day that is not, or a weekday",
        "a value with a step", "a name with a step", "29 February", "29 February over 2100", "skipped", "doubled",
        "doubled half hours", "skipped midnight",
        "a weekday whose midnight is skipped", "half an hour", "skipped month",
    ],
)  # fmt: skip
def test_known_difficult_schedules_agree(robfig: Robfig, cron: str, zone: str, after: str) -> None:
    assert ticks(cron, zone, seconds(after), 6) == robfig.next(cron, zone, seconds(after), 6)


@examples(1500)
@given(cron=EXPRESSIONS, place=places_and_instants())
def test_chains_of_ticks_agree_around_clock_changes(robfig: Robfig, cron: str, place: tuple[str, int]) -> None:
    zone, after = place
    assert ticks(cron, zone, after, 5) == robfig.next(cron, zone, after, 5)


@examples(800)
@given(cron=EXPRESSIONS, place=places_and_instants(), age=st.integers(1, 60) | st.integers(1, 40 * 24))
@example("* * * * *", ("Europe/Zurich", 1_774_746_000 + 100), 24)
def test_the_last_tick_is_that_of_a_walk_from_the_last_run(
    robfig: Robfig, cron: str, place: tuple[str, int], age: int
) -> None:
    zone, until = place
    since = until - age * HOUR
    tick = last_scheduled_time(cron, zone, moment(until), moment(since))
    assert (int(tick.timestamp()) if tick else None) == robfig.last(cron, zone, since, until)


@examples(60)
@given(cron=EXPRESSIONS, place=places_and_instants())
def test_without_a_last_run_the_walk_starts_early_enough(robfig: Robfig, cron: str, place: tuple[str, int]) -> None:
    zone, until = place
    found = last_scheduled_time(cron, zone, moment(until))
    expected = robfig.last(cron, zone, until - 40 * 24 * HOUR, until)
    if expected is not None:  # else it is older
        assert found == moment(expected)


@examples(300)
@given(text=st.from_regex(CRON_PATTERN, fullmatch=True) | EXPRESSIONS | st.sampled_from(sorted(PRESETS)))
@example("0 0 31 2 1")
@example("0 0 31 2 */2")
@example("0 0 * * 7-2")
@example("0 0 * * 6-7/2")
def test_what_the_crd_accepts_kubernetes_accepts_or_is_rejected(robfig: Robfig, text: str) -> None:
    try:
        normal = normalise_cron(text)
    except Rejected:
        never_fires = robfig.accepts(text) and robfig.next(text, "UTC", int(NOW.timestamp()), 1) == []
        has_7 = "7" in text.rsplit(maxsplit=1)[-1]  # Kubernetes knows 0 alone
        assert never_fires or has_7 or not robfig.accepts(text)
        return
    assert robfig.accepts(normal)
    following = robfig.next(normal, "UTC", int(NOW.timestamp()), 1)
    assert following
    if robfig.accepts(text):
        assert robfig.next(text, "UTC", int(NOW.timestamp()), 5) == robfig.next(normal, "UTC", int(NOW.timestamp()), 5)


@given(seconds=st.integers(0, 999_999))
def test_parts_of_a_second_never_repeat_a_tick(seconds: int) -> None:
    tick = datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert next_scheduled_time("0 2 * * *", "UTC", tick + timedelta(microseconds=seconds)) == tick + timedelta(days=1)
