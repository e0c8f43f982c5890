"""How much the operator writes for a run when it reconciles after every single event: the most that it can be."""

from collections import Counter

import pytest

from testing.lives import LIVES, Operator

STATUS, EVENT = "apply ingestionpipelines", "create events"


def writes_of(life: str) -> tuple[dict[str, int], int]:
    """What was written to the API server, and how many rows to OpenMetadata."""
    operator = Operator()
    operator.reconcile()
    operator.cluster.calls.clear()
    for step in LIVES[life][0]:
        operator.happens(step)
        operator.reconcile()
    operator.settle()
    return dict(Counter(f"{call.verb} {call.plural}" for call in operator.cluster.writes)), len(operator.sink.writes)


@pytest.mark.parametrize(
    ("life", "writes", "rows"),
    [
        ("success", {STATUS: 5, EVENT: 2}, 0),
        ("out of memory", {STATUS: 6, EVENT: 2}, 1),
        ("a failure, then success", {STATUS: 7, EVENT: 2}, 0),
        ("two failures", {STATUS: 7, EVENT: 2}, 1),
        ("killed, its pod gone", {STATUS: 7, EVENT: 2}, 1),
    ],
)
def test_a_run_costs_a_handful_of_writes(life: str, writes: dict[str, int], rows: int) -> None:
    assert writes_of(life) == (writes, rows)
