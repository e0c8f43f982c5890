"""What must not run late: ticks that passed while paused, before startDate or under another schedule.

Kubernetes makes up for the newest tick since the CronJob's lastScheduleTime (or its creation) when it is
unsuspended or edited; the reconciler moves that time before it lets the CronJob fire.
"""

from typing import Any

import pytest

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.ports import CRONJOBS, PIPELINES
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.objects import NAME, NAMESPACE, at, manifest, settings
from testing.reconciling import CronJobs

DAILY = {"cron": "0 2 * * *"}
STATUS_THEN_SPEC = [Call("merge_patch", "cronjobs", NAME, "status"), Call("apply", "cronjobs", NAME)]
SPEC_ALONE = [Call("apply", "cronjobs", NAME)]


class ScheduleSimulation:
    """One pipeline whose spec is changed step by step, while time passes."""

    def __init__(self, cluster: FakeCluster, clock: FakeClock) -> None:
        self.cluster = cluster
        self.clock = clock
        self.cronjobs = CronJobs(cluster, clock)

    def apply(self, **changes: Any) -> None:
        """Apply the spec and reconcile."""
        self.cluster.put(PIPELINES, manifest(**changes))
        self.reconcile()

    def reconcile(self) -> None:
        body = self.cluster.get(PIPELINES, NAMESPACE, NAME)
        assert body is not None
        self.cluster.calls.clear()
        self.cronjobs.reconcile(Pipeline.parse(body), settings(), self.clock.now())

    def ticked(self, seconds: float) -> None:
        """Kubernetes has started a Job for a tick."""
        self.cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body.update(status={"lastScheduleTime": at(seconds)}))

    @property
    def floor(self) -> str | None:
        (body,) = self.cluster.all(CRONJOBS)
        floor: str | None = body.get("status", {}).get("lastScheduleTime")
        return floor

    @property
    def suspended(self) -> bool:
        (body,) = self.cluster.all(CRONJOBS)
        return bool(body["spec"]["suspend"])


@pytest.fixture
def simulation(cluster: FakeCluster, clock: FakeClock) -> ScheduleSimulation:
    return ScheduleSimulation(cluster, clock)


def test_a_new_cronjob_needs_no_floor(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY)
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, None)


def test_ticks_missed_while_paused_do_not_run_afterwards(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY, suspend=True)
    simulation.clock.forward(days=3)
    simulation.apply(schedule=DAILY)
    assert simulation.cluster.writes == STATUS_THEN_SPEC
    assert simulation.floor == at(3 * 86400)
    assert not simulation.suspended


def test_the_floor_replaces_an_older_last_tick_only(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY, suspend=True)
    simulation.ticked(10)
    simulation.clock.forward(seconds=5)
    simulation.apply(schedule=DAILY)
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, at(10))
    simulation.apply(schedule=DAILY, suspend=True)
    simulation.clock.forward(hours=1)
    simulation.apply(schedule=DAILY)
    assert simulation.floor == at(3605)


def test_pausing_needs_no_floor(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY)
    simulation.apply(schedule=DAILY, suspend=True)
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, None)


def test_pausing_and_editing_at_once_needs_no_floor(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY)
    simulation.apply(schedule={"cron": "* * * * *"}, suspend=True)
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, None)


def test_a_first_schedule_runs_no_tick_of_the_past(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=None)
    simulation.clock.forward(hours=5)
    simulation.apply(schedule={"cron": "0 * * * *"})
    assert simulation.floor == at(5 * 3600)


@pytest.mark.parametrize("late", [0, 1, 3600])
def test_a_window_that_opens_by_itself_lets_its_ticks_run(simulation: ScheduleSimulation, late: int) -> None:
    opening = DAILY | {"startDate": at(600)}
    simulation.apply(schedule=opening)
    assert simulation.suspended
    simulation.clock.forward(seconds=600 + late)
    simulation.reconcile()
    assert not simulation.suspended
    assert simulation.cluster.writes == STATUS_THEN_SPEC
    assert simulation.floor == at(599)


def test_a_start_date_moved_to_the_past_runs_no_past_tick(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY | {"startDate": at(86400 * 30)})
    simulation.clock.forward(days=2)
    simulation.apply(schedule=DAILY | {"startDate": at(3600)})
    assert simulation.floor == at(2 * 86400)


def test_a_start_date_that_is_removed_runs_no_tick_of_the_past(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY | {"startDate": at(86400 * 30)})
    simulation.clock.forward(days=2)
    simulation.apply(schedule=DAILY)
    assert simulation.floor == at(2 * 86400)


def test_a_pause_that_ends_in_the_window_runs_no_paused_tick(simulation: ScheduleSimulation) -> None:
    opening = DAILY | {"startDate": at(600)}
    simulation.apply(schedule=opening, suspend=True)
    simulation.clock.forward(days=1)
    simulation.apply(schedule=opening)
    assert simulation.floor == at(86400)


def test_a_pause_that_ends_before_the_window_does_not_matter(simulation: ScheduleSimulation) -> None:
    opening = DAILY | {"startDate": at(600)}
    simulation.apply(schedule=opening, suspend=True)
    simulation.apply(schedule=opening)
    simulation.clock.forward(seconds=700)
    simulation.reconcile()
    assert simulation.floor == at(599)


def test_a_window_with_another_schedule_runs_no_past_tick(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY | {"startDate": at(600)})
    simulation.clock.forward(seconds=700)
    simulation.apply(schedule={"cron": "*/5 * * * *", "startDate": at(600)})
    assert simulation.floor == at(700)


def test_an_end_date_that_is_moved_runs_no_past_tick(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY | {"endDate": at(60)})
    simulation.clock.forward(days=1)
    simulation.reconcile()
    assert simulation.suspended
    simulation.clock.forward(days=1)
    simulation.apply(schedule=DAILY | {"endDate": at(86400 * 30)})
    assert simulation.floor == at(2 * 86400)


@pytest.mark.parametrize("edited", [{"cron": "30 11 * * *"}, {"cron": "0 2 * * *", "timeZone": "Asia/Tokyo"}])
def test_another_schedule_or_zone_runs_no_past_tick(simulation: ScheduleSimulation, edited: dict[str, str]) -> None:
    simulation.apply(schedule=DAILY)
    simulation.ticked(-3600)
    simulation.clock.forward(hours=2)
    simulation.apply(schedule=edited)
    assert simulation.cluster.writes == STATUS_THEN_SPEC
    assert simulation.floor == at(7200)


def test_another_spelling_of_the_same_schedule_moves_nothing(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule={"cron": "0 2 * * 7"})
    simulation.ticked(-3600)
    simulation.apply(schedule={"cron": "0 2 * * 0"}, timeout="1h")
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, at(-3600))


def test_other_edits_leave_missed_ticks_to_kubernetes(simulation: ScheduleSimulation) -> None:
    simulation.apply(schedule=DAILY)
    simulation.ticked(-3600)
    simulation.clock.forward(minutes=5)
    simulation.apply(schedule=DAILY, timeout="1h", loggerLevel="DEBUG")
    assert (simulation.cluster.writes, simulation.floor) == (SPEC_ALONE, at(-3600))


@pytest.mark.parametrize("drift", [{"schedule": "* * * * *"}, {"timeZone": "Asia/Tokyo"}, {"suspend": True}], ids=str)
def test_an_edited_schedule_is_restored_without_past_ticks(
    simulation: ScheduleSimulation, drift: dict[str, Any]
) -> None:
    simulation.apply(schedule=DAILY)
    simulation.ticked(-3600)
    simulation.cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body["spec"].update(drift))
    simulation.clock.forward(minutes=1)
    simulation.reconcile()
    assert simulation.cluster.writes == [STATUS_THEN_SPEC[0], Call("replace_spec", "cronjobs", NAME)]
    assert simulation.floor == at(60)
