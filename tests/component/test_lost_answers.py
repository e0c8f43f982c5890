"""A write of the status whose answer is lost: no Event, counter or trace follows from it."""

from collections.abc import Iterator

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.controller.tracing import TraceExporter
from ingestion_operator.errors import ClusterError, Conflict, Unavailable
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS, StatusObserver
from ingestion_operator.reporting.reporter import Reporter
from testing.collector import Collector, start_collector
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import KEY, OUT_OF_MEMORY, status

LOST = [
    pytest.param(Conflict("PATCH status: HTTP 409", code=409), id="repeated by the client"),
    pytest.param(Unavailable("PATCH status: timed out"), id="timed out"),
]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with start_collector() as started:
        yield started


@pytest.mark.parametrize("which", [1, 2], ids=["the end", "the report"])
@pytest.mark.parametrize("error", LOST)
def test_a_lost_answer_loses_no_event_counter_or_trace(
    cluster: FakeCluster,
    clock: FakeClock,
    settings_in_force: list[Settings],
    reporter: Reporter,
    collector: Collector,
    error: Exception,
    which: int,
) -> None:
    settings_in_force.append(settings(tracing={"endpoint": collector.endpoint}))
    metrics = OperatorMetrics()
    exporter = TraceExporter(lambda: settings_in_force[-1], clock, metrics.count_spans, "", batch_seconds=0.01)
    observers: list[StatusObserver] = [metrics, exporter]
    reconciling = Reconciling(cluster, lambda: settings_in_force[-1], clock, reporter, observers=observers)
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconciling.reconcile(KEY)
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    if which == 2:  # the first write of this reconciliation succeeds
        cluster.interleave("apply", lambda: None, plural="ingestionpipelines")
    cluster.fail("apply", error, plural="ingestionpipelines", after=True)
    with pytest.raises(ClusterError):
        reconciling.reconcile(KEY)
    for _ in range(3):
        reconciling.reconcile(KEY)
    assert (status(cluster).runs[0].state, status(cluster).runs[0].report) == ("failed", "Done")
    assert [body["reason"] for body in cluster.all(EVENTS)].count("RunFailed") == 1
    value = metrics.registry.get_sample_value
    assert value("ingestion_runs_total", {"state": "failed", "type": "metadata", "trigger": "scheduled"}) == 1
    assert value("ingestion_run_out_of_memory_total", {"type": "metadata"}) == 1
    assert value("ingestion_reports_total", {"outcome": "Done"}) == 1
    exporter.close()
    assert [span["name"] for span in collector.spans].count("run") == 1
