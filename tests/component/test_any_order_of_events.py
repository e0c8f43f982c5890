"""In whatever order and however late the operator sees Jobs and pods: the record in the end is the same."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.errors import Conflict, Unavailable
from testing.lives import LIVES, Operator

ACTIONS: Final = st.lists(
    st.tuples(
        st.sampled_from(["happens", "happens", "reconcile", "reconcile", "old cache", "restart", "failed write"]),
        st.integers(0, 20),
    ),
    max_size=40,
)


@pytest.mark.parametrize("life", LIVES)
@hypothesis_settings(deadline=None)
@given(actions=ACTIONS)
def test_any_order_and_delay_of_events_ends_in_one_record(life: str, actions: list[tuple[str, int]]) -> None:
    steps, truth = LIVES[life]
    operator, past = Operator(), 0
    ends = []
    for action, number in actions:
        match action:
            case "happens" if past < len(steps):
                operator.happens(steps[past])
                past += 1
            case "reconcile":
                operator.reconcile()
            case "old cache":
                operator.reconcile_with_old_cache()
            case "restart":
                operator.restart()
            case "failed write":
                error = Conflict("changed meanwhile", code=409) if number % 2 else Unavailable("away", code=503)
                operator.cluster.fail("apply", error, plural="ingestionpipelines", after=bool(number % 3))
                operator.reconcile()
        operator.clock.forward(seconds=1)
        ends += [(run.state, run.reason) for run in operator.runs if run.state in FINISHED_STATES]
    for step in steps[past:]:
        operator.happens(step)
    operator.settle()
    (run,) = operator.runs
    assert (run.state, run.reason, run.report) == (*truth, "Done")
    assert set(ends) <= {truth}
    assert len(operator.sink.writes) <= 1
