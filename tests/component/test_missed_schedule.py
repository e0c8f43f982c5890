"""A tick that started no run is reported once, until a later tick starts one."""

from datetime import timedelta

import pytest

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Condition
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
TICK = 1800
"""Of the schedule `30 * * * *`, in seconds after NOW."""

LOST = TICK + 690


@pytest.fixture
def scheduled(cluster: FakeCluster, reconciling: Reconciling) -> FakeCluster:
    """A pipeline that has its CronJob since NOW."""
    cluster.put(PIPELINES, manifest(schedule={"cron": "30 * * * *"}))
    reconcile(reconciling)
    return cluster


def reconcile(reconciling: Reconciling) -> float | None:
    again = reconciling.reconcile(KEY, [])
    return None if again is None else (again - NOW).total_seconds()


def at_second(clock: FakeClock, seconds: float) -> None:
    clock.moment = NOW + timedelta(seconds=seconds)


def condition(cluster: FakeCluster) -> Condition:
    (body,) = cluster.all(PIPELINES)
    return next(found for found in parse_status(body).conditions if found.type == "Scheduled")


def reported(cluster: FakeCluster) -> list[str]:
    words = ("MissedSchedule", "JobAlreadyActive")
    return [f"{body['type']} {body['reason']}" for body in cluster.all(EVENTS) if body["reason"] in words]


def fires(cluster: FakeCluster, seconds: float) -> None:
    """What the CronJob controller does for a tick."""
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body.update(status={"lastScheduleTime": at(seconds)}))


def test_a_missed_tick_gets_one_event_across_restarts(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    at_second(clock, TICK + 10)
    assert reconcile(reconciling) == LOST
    assert condition(scheduled).reason == "Scheduled"
    at_second(clock, LOST)
    reconcile(reconciling)
    assert (condition(scheduled).status, condition(scheduled).reason) == ("True", "MissedSchedule")
    assert format_timestamp(NOW + timedelta(seconds=TICK)) in condition(scheduled).message
    scheduled.calls.clear()
    at_second(clock, LOST + 60)
    reconcile(reconciling)
    reconcile(Reconciling(scheduled, settings, clock, reporter_over(scheduled, FakeSink(), settings, clock)))
    assert scheduled.writes == []
    assert reported(scheduled) == ["Warning MissedSchedule"]


def test_a_missed_tick_gets_no_event_for_other_changes(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    at_second(clock, LOST)
    reconcile(reconciling)
    scheduled.put(JOBS, job("by-hand", created=LOST, scheduled=False))
    at_second(clock, LOST + 60)
    reconcile(reconciling)
    assert condition(scheduled).reason == "MissedSchedule"
    assert reported(scheduled) == ["Warning MissedSchedule"]


def test_the_next_missed_tick_gets_an_event_and_a_run_ends_it(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    for tick in (TICK, TICK + 3600):
        at_second(clock, tick + 690)
        reconcile(reconciling)
    assert reported(scheduled) == ["Warning MissedSchedule"] * 2
    at_second(clock, TICK + 7200 + 2)
    fires(scheduled, TICK + 7200)
    reconcile(reconciling)
    assert condition(scheduled).reason == "Scheduled"
    assert len(reported(scheduled)) == 2


def test_a_tick_that_comes_late_is_none_that_was_missed(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    at_second(clock, TICK + 10)
    reconcile(reconciling)
    fires(scheduled, TICK)
    at_second(clock, LOST)
    reconcile(reconciling)
    assert reported(scheduled) == []


@pytest.mark.parametrize(
    "changes", [{"schedule": {"cron": "31 * * * *"}}, {"schedule": {"cron": "30 * * * *", "timeZone": "Asia/Kolkata"}}]
)
def test_an_edited_schedule_has_missed_nothing_of_its_past(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock, changes: Body
) -> None:
    fires(scheduled, TICK)
    at_second(clock, TICK + 1500)
    scheduled.put(PIPELINES, manifest(**changes))
    reconcile(reconciling)
    at_second(clock, TICK + 1600)
    reconcile(reconciling)
    assert reported(scheduled) == []


def test_a_pause_misses_nothing(scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    fires(scheduled, TICK)
    scheduled.put(PIPELINES, manifest(schedule={"cron": "30 * * * *"}, suspend=True))
    at_second(clock, TICK + 10)
    reconcile(reconciling)
    at_second(clock, 10 * 3600)
    reconcile(reconciling)
    scheduled.put(PIPELINES, manifest(schedule={"cron": "30 * * * *"}))
    reconcile(reconciling)
    at_second(clock, 10 * 3600 + 700)
    reconcile(reconciling)
    assert reported(scheduled) == []


def test_runs_started_without_an_operator_are_not_missed(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    fires(scheduled, TICK + 36000)
    at_second(clock, TICK + 36000 + 1000)
    reconcile(reconciling)
    assert reported(scheduled) == []


def test_a_tick_that_a_run_held_up_was_skipped(
    scheduled: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    fires(scheduled, TICK)
    scheduled.put(JOBS, job("long", created=TICK))
    scheduled.put(PODS, pod("long-a", of="long", created=TICK + 1, running=True))
    at_second(clock, LOST + 3600)
    reconcile(reconciling)
    assert condition(scheduled).reason == "JobAlreadyActive"
    assert "run uid-long was active" in condition(scheduled).message
    assert reported(scheduled) == ["Normal JobAlreadyActive"]
