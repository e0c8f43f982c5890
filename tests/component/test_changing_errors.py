"""An action that fails again and again is announced once, however its error is worded."""

import pytest

from ingestion_operator.errors import ActionsFailed, Unavailable
from ingestion_operator.ports import PIPELINES
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import manifest
from testing.reconciling import Reconciling
from testing.reports import events, reconcile, status


def refusal(port: int) -> Unavailable:
    text = f"HTTP 500: failed calling webhook: read tcp 10.0.0.7:{port}->10.96.0.1:443: i/o timeout (0x7f{port:x})"
    return Unavailable(text, code=500)


def test_the_numbers_in_an_error_are_not_a_change(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    """Each change of the message would be a write and an Event, for each pipeline at each retry."""
    cluster.put(PIPELINES, manifest())
    for port in range(50_000, 50_005):
        cluster.fail("apply", refusal(port), plural="cronjobs")
        clock.forward(minutes=1)
        with pytest.raises(ActionsFailed):
            reconcile(reconciling)
    assert events(cluster).count("ActionsFailed") == 1
    written = [call for call in cluster.writes if call.plural == "ingestionpipelines"]
    assert len(written) == 2
    cluster.fail("apply", Unavailable("HTTP 500: no endpoints available", code=500), plural="cronjobs")
    with pytest.raises(ActionsFailed):
        reconcile(reconciling)
    assert "no endpoints" in next(one.message for one in status(cluster).conditions if one.type == "ActionsFailed")
