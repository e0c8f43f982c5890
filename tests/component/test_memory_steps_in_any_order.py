"""Runs repeated with more memory: a crash at any write, and whatever comes in whatever order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import JOBS
from testing.memory_scene import Scene, written


def play(scene: Scene) -> None:
    """A whole run that needs 2Gi; a crash of the operator starts a new one at once."""

    def reconcile() -> None:
        try:
            scene.reconcile()
        except ClusterError:
            scene.reconciling = scene.another_operator()
            scene.reconcile()

    for _ in range(14):
        scene.kubernetes.sync()
        reconcile()
        for memory in scene.kubernetes.run():
            reconcile()
            if memory == "2Gi":
                scene.kubernetes.end(0)
            else:
                scene.kubernetes.run_out_of_memory()
            reconcile()


def number_of_writes(*, grows: bool) -> int:
    scene = Scene(grows=grows)
    before = len(scene.cluster.writes)
    play(scene)
    return len(scene.cluster.writes) - before


@pytest.mark.parametrize("after", [False, True], ids=["lost", "done, answer lost"])
@pytest.mark.parametrize("grows", [True, False], ids=["same Job", "another Job"])
def test_a_crash_at_any_write_changes_nothing_of_the_truth(grows: bool, after: bool) -> None:
    for number in range(number_of_writes(grows=grows)):
        scene = Scene(grows=grows)
        scene.cluster.crash_at = len(scene.cluster.writes) + number
        scene.cluster.crash_after = after
        play(scene)
        assert (scene.run.id, scene.run.state) == (scene.run_id, "success"), number
        assert [a.memory for a in scene.run.attempts if a.reason != "Superseded"] == ["512Mi", "1Gi", "2Gi"], number
        assert scene.kubernetes.most_active == 1
        assert scene.jobs() == [scene.run.job]


STEPS: dict[str, Callable[[Scene], object]] = {
    "Job controller": lambda scene: scene.kubernetes.sync(),
    "operator": lambda scene: scene.reconcile(),
    "start": lambda scene: scene.kubernetes.run(),
    "out of memory": lambda scene: scene.kubernetes.run_out_of_memory(),
    "failure": lambda scene: scene.kubernetes.end(1),
    "success": lambda scene: scene.kubernetes.end(0),
    "kill": lambda scene: scene.kill(),
}


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=25), st.integers(0, 2), st.booleans())
def test_in_any_order_of_events_one_run_comes_to_one_end(steps: list[str], retries: int, grows: bool) -> None:
    scene = Scene(retries=retries, grows=grows)
    scene.reconcile()
    for name in steps:
        STEPS[name](scene)
        assert len(scene.kubernetes.active()) <= 1
    scene.settle()
    if scene.kubernetes.active():
        scene.kubernetes.end(0)
        scene.settle()
    assert scene.run.state in FINISHED_STATES
    assert scene.run.id == scene.run_id
    assert scene.kubernetes.active() == []
    assert all(body["status"]["conditions"][-1]["type"] in ("Complete", "Failed") for body in scene.cluster.all(JOBS))
    end = scene.run
    before = len(scene.cluster.writes)
    scene.settle()
    assert (scene.run, written(scene, before)) == (end, [])
