"""Runs repeated with more memory: a crash at any write, and whatever comes in whatever order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import JOBS
from testing.memory_simulation import MemorySimulation, written


def run(simulation: MemorySimulation) -> None:
    """A whole run that needs 2Gi; a crash of the operator starts a new one at once."""

    def reconcile() -> None:
        try:
            simulation.reconcile()
        except ClusterError:
            simulation.reconciling = simulation.another_operator()
            simulation.reconcile()

    for _ in range(14):
        simulation.kubernetes.sync()
        reconcile()
        for memory in simulation.kubernetes.run():
            reconcile()
            if memory == "2Gi":
                simulation.kubernetes.end(0)
            else:
                simulation.kubernetes.run_out_of_memory()
            reconcile()


def number_of_writes(*, grows: bool) -> int:
    simulation = MemorySimulation(grows=grows)
    before = len(simulation.cluster.writes)
    run(simulation)
    return len(simulation.cluster.writes) - before


@pytest.mark.parametrize("after", [False, True], ids=["lost", "done, answer lost"])
@pytest.mark.parametrize("grows", [True, False], ids=["same Job", "another Job"])
def test_a_crash_at_any_write_changes_nothing_of_the_truth(grows: bool, after: bool) -> None:
    for number in range(number_of_writes(grows=grows)):
        simulation = MemorySimulation(grows=grows)
        simulation.cluster.crash_at = len(simulation.cluster.writes) + number
        simulation.cluster.crash_after = after
        run(simulation)
        assert (simulation.run.id, simulation.run.state) == (simulation.run_id, "success"), number
        assert [a.memory for a in simulation.run.attempts if a.reason != "Superseded"] == ["512Mi", "1Gi", "2Gi"], (
            number
        )
        assert simulation.kubernetes.most_active == 1
        assert simulation.jobs() == [simulation.run.job]


STEPS: dict[str, Callable[[MemorySimulation], object]] = {
    "Job controller": lambda simulation: simulation.kubernetes.sync(),
    "operator": lambda simulation: simulation.reconcile(),
    "start": lambda simulation: simulation.kubernetes.run(),
    "out of memory": lambda simulation: simulation.kubernetes.run_out_of_memory(),
    "failure": lambda simulation: simulation.kubernetes.end(1),
    "success": lambda simulation: simulation.kubernetes.end(0),
    "kill": lambda simulation: simulation.kill(),
}


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=25), st.integers(0, 2), st.booleans())
def test_in_any_order_of_events_one_run_comes_to_one_end(steps: list[str], retries: int, grows: bool) -> None:
    simulation = MemorySimulation(retries=retries, grows=grows)
    simulation.reconcile()
    for name in steps:
        STEPS[name](simulation)
        assert len(simulation.kubernetes.active()) <= 1
    simulation.settle()
    if simulation.kubernetes.active():
        simulation.kubernetes.end(0)
        simulation.settle()
    assert simulation.run.state in FINISHED_STATES
    assert simulation.run.id == simulation.run_id
    assert simulation.kubernetes.active() == []
    assert all(
        body["status"]["conditions"][-1]["type"] in ("Complete", "Failed") for body in simulation.cluster.all(JOBS)
    )
    end = simulation.run
    before = len(simulation.cluster.writes)
    simulation.settle()
    assert (simulation.run, written(simulation, before)) == (end, [])
