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


class Scene:
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
def scene(cluster: FakeCluster, clock: FakeClock) -> Scene:
    return Scene(cluster, clock)


def test_a_new_cronjob_needs_no_floor(scene: Scene) -> None:
    scene.apply(schedule=DAILY)
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, None)


def test_ticks_missed_while_paused_do_not_run_afterwards(scene: Scene) -> None:
    scene.apply(schedule=DAILY, suspend=True)
    scene.clock.forward(days=3)
    scene.apply(schedule=DAILY)
    assert scene.cluster.writes == STATUS_THEN_SPEC
    assert scene.floor == at(3 * 86400)
    assert not scene.suspended


def test_the_floor_replaces_an_older_last_tick_only(scene: Scene) -> None:
    scene.apply(schedule=DAILY, suspend=True)
    scene.ticked(10)
    scene.clock.forward(seconds=5)
    scene.apply(schedule=DAILY)
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, at(10))
    scene.apply(schedule=DAILY, suspend=True)
    scene.clock.forward(hours=1)
    scene.apply(schedule=DAILY)
    assert scene.floor == at(3605)


def test_pausing_needs_no_floor(scene: Scene) -> None:
    scene.apply(schedule=DAILY)
    scene.apply(schedule=DAILY, suspend=True)
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, None)


def test_pausing_and_editing_at_once_needs_no_floor(scene: Scene) -> None:
    scene.apply(schedule=DAILY)
    scene.apply(schedule={"cron": "* * * * *"}, suspend=True)
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, None)


def test_a_first_schedule_runs_no_tick_of_the_past(scene: Scene) -> None:
    scene.apply(schedule=None)
    scene.clock.forward(hours=5)
    scene.apply(schedule={"cron": "0 * * * *"})
    assert scene.floor == at(5 * 3600)


@pytest.mark.parametrize("late", [0, 1, 3600])
def test_a_window_that_opens_by_itself_lets_its_ticks_run(scene: Scene, late: int) -> None:
    opening = DAILY | {"startDate": at(600)}
    scene.apply(schedule=opening)
    assert scene.suspended
    scene.clock.forward(seconds=600 + late)
    scene.reconcile()
    assert not scene.suspended
    assert scene.cluster.writes == STATUS_THEN_SPEC
    assert scene.floor == at(599)


def test_a_start_date_moved_to_the_past_runs_no_past_tick(scene: Scene) -> None:
    scene.apply(schedule=DAILY | {"startDate": at(86400 * 30)})
    scene.clock.forward(days=2)
    scene.apply(schedule=DAILY | {"startDate": at(3600)})
    assert scene.floor == at(2 * 86400)


def test_a_start_date_that_is_removed_runs_no_tick_of_the_past(scene: Scene) -> None:
    scene.apply(schedule=DAILY | {"startDate": at(86400 * 30)})
    scene.clock.forward(days=2)
    scene.apply(schedule=DAILY)
    assert scene.floor == at(2 * 86400)


def test_a_pause_that_ends_in_the_window_runs_no_paused_tick(scene: Scene) -> None:
    opening = DAILY | {"startDate": at(600)}
    scene.apply(schedule=opening, suspend=True)
    scene.clock.forward(days=1)
    scene.apply(schedule=opening)
    assert scene.floor == at(86400)


def test_a_pause_that_ends_before_the_window_does_not_matter(scene: Scene) -> None:
    opening = DAILY | {"startDate": at(600)}
    scene.apply(schedule=opening, suspend=True)
    scene.apply(schedule=opening)
    scene.clock.forward(seconds=700)
    scene.reconcile()
    assert scene.floor == at(599)


def test_a_window_with_another_schedule_runs_no_past_tick(scene: Scene) -> None:
    scene.apply(schedule=DAILY | {"startDate": at(600)})
    scene.clock.forward(seconds=700)
    scene.apply(schedule={"cron": "*/5 * * * *", "startDate": at(600)})
    assert scene.floor == at(700)


def test_an_end_date_that_is_moved_runs_no_past_tick(scene: Scene) -> None:
    scene.apply(schedule=DAILY | {"endDate": at(60)})
    scene.clock.forward(days=1)
    scene.reconcile()
    assert scene.suspended
    scene.clock.forward(days=1)
    scene.apply(schedule=DAILY | {"endDate": at(86400 * 30)})
    assert scene.floor == at(2 * 86400)


@pytest.mark.parametrize("edited", [{"cron": "30 11 * * *"}, {"cron": "0 2 * * *", "timeZone": "Asia/Tokyo"}])
def test_another_schedule_or_zone_runs_no_past_tick(scene: Scene, edited: dict[str, str]) -> None:
    scene.apply(schedule=DAILY)
    scene.ticked(-3600)
    scene.clock.forward(hours=2)
    scene.apply(schedule=edited)
    assert scene.cluster.writes == STATUS_THEN_SPEC
    assert scene.floor == at(7200)


def test_another_spelling_of_the_same_schedule_moves_nothing(scene: Scene) -> None:
    scene.apply(schedule={"cron": "0 2 * * 7"})
    scene.ticked(-3600)
    scene.apply(schedule={"cron": "0 2 * * 0"}, timeout="1h")
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, at(-3600))


def test_other_edits_leave_missed_ticks_to_kubernetes(scene: Scene) -> None:
    scene.apply(schedule=DAILY)
    scene.ticked(-3600)
    scene.clock.forward(minutes=5)
    scene.apply(schedule=DAILY, timeout="1h", loggerLevel="DEBUG")
    assert (scene.cluster.writes, scene.floor) == (SPEC_ALONE, at(-3600))


@pytest.mark.parametrize("drift", [{"schedule": "* * * * *"}, {"timeZone": "Asia/Tokyo"}, {"suspend": True}], ids=str)
def test_a_schedule_edited_by_hand_is_restored_without_past_ticks(scene: Scene, drift: dict[str, Any]) -> None:
    scene.apply(schedule=DAILY)
    scene.ticked(-3600)
    scene.cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body["spec"].update(drift))
    scene.clock.forward(minutes=1)
    scene.reconcile()
    assert scene.cluster.writes == [STATUS_THEN_SPEC[0], Call("replace_spec", "cronjobs", NAME)]
    assert scene.floor == at(60)
