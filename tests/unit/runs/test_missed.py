"""Ticks that started no run, and all that must not be taken for one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.schedule import last_scheduled_time, next_scheduled_time
from ingestion_operator.runs.jobs import CronJob, Job, read_cronjob, read_job
from ingestion_operator.runs.missed import last_missed_schedule, missed_at
from testing.objects import NAMESPACE, NOW, at, job, job_record

HOUR = 3600


def cronjob(
    cron: str = "0 * * * *", *, zone: str = "UTC", created: float = -9 * HOUR, last: float | None = None
) -> CronJob:
    metadata = {"namespace": NAMESPACE, "name": "nightly", "uid": "uid-nightly", "resourceVersion": "1"}
    return read_cronjob(
        {
            "metadata": metadata | {"creationTimestamp": at(created)},
            "spec": {
                "schedule": cron,
                "timeZone": zone,
                "suspend": False,
                "startingDeadlineSeconds": 600,
                "concurrencyPolicy": "Forbid",
            },
            "status": {} if last is None else {"lastScheduleTime": at(last)},
        }
    )


def run(start: float, end: float | None = None, trigger: str = "scheduled") -> Run:
    return Run.model_validate(
        {
            "id": "the-run", "job": "j", "trigger": trigger, "state": "running" if end is None else "success",
            "reason": "", "message": "", "startTime": at(start), "endTime": None if end is None else at(end),
        }
    )  # fmt: skip


def missed(
    found: CronJob, after: float, jobs: list[Job] | None = None, runs: list[Run] | None = None
) -> datetime | None:
    miss = last_missed_schedule(found, jobs or [], runs or [], NOW + timedelta(seconds=after))
    return miss.scheduled_at if miss else None


# NOW is 12:00, a tick of @hourly.
@pytest.mark.parametrize(
    ("found", "after", "is_missed"),
    [
        (cronjob(last=-HOUR), 690, True),
        (cronjob(last=-HOUR), 689, False),
        (cronjob(last=-HOUR), 0, False),
        (cronjob(last=0), 690, False),
        (cronjob(last=30), 690, False),
        (cronjob(), 690, True),
        (cronjob(created=0), 690, False),
        (cronjob(created=-1), 690, True),
        (cronjob("30 12 * * *", created=-HOUR), 690, False),
        (replace(cronjob(last=-HOUR), is_suspended=True), 690, False),
        (replace(cronjob(last=-HOUR), is_deleting=True), 690, False),
    ],
    ids=[
        "nothing has run since", "it may still come", "it is just due", "it ran",
        "unpaused or edited after the tick", "it has never run", "created with the tick",
        "created a moment before the tick", "no tick yet", "paused", "the CronJob is being deleted",
    ],
)  # fmt: skip
def test_a_tick_is_missed_once_nothing_can_start_it(found: CronJob, after: float, is_missed: bool) -> None:
    assert missed(found, after) == (NOW if is_missed else None)


def test_a_job_that_the_cronjob_has_not_noted_yet_counts() -> None:
    assert missed(cronjob(last=-HOUR), 690, jobs=[job_record(created=0)]) is None
    assert missed(cronjob(last=-HOUR), 690, jobs=[job_record(created=0, scheduled=False)]) == NOW


def test_only_the_newest_lost_tick_counts() -> None:
    assert missed(cronjob(last=-3 * HOUR), 690) == NOW


@pytest.mark.parametrize(
    ("under_way", "is_held_up"),
    [
        (run(-HOUR), True),
        (run(-HOUR, 700), True),
        (run(-HOUR, 595), True),
        (run(-HOUR, 300), False),
        (run(10), False),
        (run(-HOUR, trigger="manual"), False),
    ],
    ids=["it still runs", "it ended later", "its Job ended with the deadline", "a run could have started after it",
         "it began after the tick", "Forbid does not see manual runs"],
)  # fmt: skip
def test_a_scheduled_run_holds_up_a_tick(under_way: Run, is_held_up: bool) -> None:
    miss = last_missed_schedule(cronjob(last=-HOUR), [], [under_way], NOW + timedelta(seconds=700))
    assert miss is not None
    assert miss.blocking_run == ("the-run" if is_held_up else None)


def test_with_allow_no_run_holds_up_another() -> None:
    found = replace(cronjob(last=-HOUR), concurrency_policy="Allow")
    miss = last_missed_schedule(found, [], [run(-HOUR)], NOW + timedelta(seconds=700))
    assert miss is not None
    assert miss.blocking_run is None


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "last", "now", "tick"),
    [
        ("30 2 * * *", "2026-03-28T01:30", "2026-03-29T12:00", None),
        ("30 2 * * *", "2026-03-28T01:30", "2026-03-30T12:00", "2026-03-30T00:30"),
        ("30 3 * * *", "2026-03-28T02:30", "2026-03-29T12:00", "2026-03-29T01:30"),
        ("*/30 * * * *", "2026-03-29T00:30", "2026-03-29T01:15", "2026-03-29T01:00"),
        ("30 2 * * *", "2026-10-24T00:30", "2026-10-25T01:00", "2026-10-25T00:30"),
        ("30 2 * * *", "2026-10-25T00:30", "2026-10-25T12:00", "2026-10-25T01:30"),
        ("30 2 * * *", "2026-10-25T01:30", "2026-10-25T12:00", None),
        ("30 3 * * *", "2026-10-24T01:30", "2026-10-25T12:00", "2026-10-25T02:30"),
    ],
    ids=[
        "a skipped run is not missed", "the next day's is", "one after the gap is", "one at the end of the gap is",
        "the first of two is", "the second of two is", "both ran", "one after the doubled hour is",
    ],
)  # fmt: skip
def test_a_miss_on_both_nights_of_a_clock_change(cron: str, last: str, now: str, tick: str | None) -> None:
    found = replace(cronjob(cron, zone="Europe/Zurich"), created=utc(last), last_schedule_time=utc(last))
    miss = last_missed_schedule(found, [], [], utc(now))
    assert (miss.scheduled_at if miss else None) == (utc(tick) if tick else None)


def test_a_day_that_kubernetes_skips_is_not_missed() -> None:
    # Friday 24 April 2026 has no midnight in Cairo, so that the controller goes on to the next Friday.
    found = cronjob("0 12 * * fri", zone="Africa/Cairo")
    last = utc("2026-04-17T10:00")
    assert last_missed_schedule(replace(found, created=last), [], [], utc("2026-04-25T12:00")) is None
    edited = last_missed_schedule(replace(found, created=utc("2026-04-24T08:00")), [], [], utc("2026-04-25T12:00"))
    assert edited is not None
    assert edited.scheduled_at == utc("2026-04-24T09:00")


def test_a_tick_is_judged_when_it_can_come_no_more() -> None:
    found = cronjob(last=-HOUR)
    assert missed_at(found, [], NOW + timedelta(seconds=10)) == NOW + timedelta(seconds=690)
    assert missed_at(found, [], NOW + timedelta(seconds=690)) is None
    assert missed_at(cronjob(last=0), [], NOW + timedelta(seconds=10)) is None


@given(st.sampled_from(["tonight", "2026-03-01T12:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]) | st.text())
def test_a_strange_scheduled_timestamp_is_ignored(text: str) -> None:
    body = job()
    body["metadata"]["annotations"][constants.ANNOTATION_SCHEDULED_AT] = text
    assert missed(cronjob(last=-HOUR), 690, jobs=[read_job(body)]) == NOW
    assert missed_at(cronjob(last=-HOUR), [read_job(body)], NOW) == NOW + timedelta(seconds=690)


MOMENTS = st.integers(0, 10**8).map(lambda seconds: datetime.fromtimestamp(1_700_000_000 + seconds, UTC))
CRONS = st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * 1", "5 4 1 * *"])
ZONES = st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu"])


@given(CRONS, MOMENTS)
def test_the_last_tick_is_the_one_that_no_other_follows_in_time(cron: str, until: datetime) -> None:
    tick = last_scheduled_time(cron, "UTC", until)
    assert tick is not None
    assert tick <= until
    following = next_scheduled_time(cron, "UTC", tick)
    assert following is not None
    assert following > until


@given(CRONS, ZONES, MOMENTS, st.integers(0, 10**6), st.integers(10, 86400))
def test_every_miss_is_over_and_is_judged_in_time(
    cron: str, zone: str, last: datetime, age: int, deadline: int
) -> None:
    found = replace(
        cronjob(cron, zone=zone),
        created=last - timedelta(days=1),
        starting_deadline_seconds=deadline,
        last_schedule_time=last,
    )
    now = last + timedelta(seconds=age)
    miss = last_missed_schedule(found, [], [], now)
    if miss is not None:
        assert last < miss.scheduled_at <= now - timedelta(seconds=deadline)
        assert last_missed_schedule(replace(found, last_schedule_time=miss.scheduled_at), [], [], now) is None
        return
    again = missed_at(found, [], now)
    assert again is None or again > now
    assert again is None or last_missed_schedule(found, [], [], again) is not None
