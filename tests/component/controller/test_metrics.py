"""What the operator counts, over an API server in memory: each thing once, whatever is repeated."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.constants import ANNOTATION_ADMITTED_AT, ANNOTATION_SCHEDULED_AT
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, at, job, manifest, pod
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
Start = Callable[[], tuple[OperatorMetrics, Reconciling]]


@pytest.fixture
def start(cluster: FakeCluster, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter) -> Start:
    """Start an operator over what is in the cluster, as after a restart."""

    def begin() -> tuple[OperatorMetrics, Reconciling]:
        metrics = OperatorMetrics()
        metrics.keep_existing(lambda key: key == KEY)
        return metrics, Reconciling(cluster, lambda: settings_in_force[-1], clock, reporter, observers=[metrics])

    return begin


def value(metrics: OperatorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def runs(metrics: OperatorMetrics, state: str, trigger: str = "scheduled") -> float | None:
    return value(metrics, "ingestion_runs_total", state=state, type="metadata", trigger=trigger)


def test_a_run_is_counted_at_its_end_once(cluster: FakeCluster, start: Start) -> None:
    metrics, reconciling = start()
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconciling.reconcile(KEY, [])
    assert runs(metrics, "success") == 0
    assert value(metrics, "ingestion_runs_active", state="running") == 1
    cluster.put(JOBS, job(condition="Complete"))
    cluster.put(PODS, pod(exit_code=0))
    for _ in range(3):
        reconciling.reconcile(KEY, [])
    assert runs(metrics, "success") == 1
    assert value(metrics, "ingestion_runs_active", state="running") == 0
    assert value(metrics, "ingestion_run_duration_seconds_count", type="metadata", state="success") == 1


@pytest.mark.usefixtures("ended")
def test_a_restart_does_not_count_again_but_knows_what_is_so(start: Start) -> None:
    metrics, reconciling = start()
    reconciling.reconcile(KEY, [])
    assert runs(metrics, "failed") == 1
    assert value(metrics, "ingestion_run_out_of_memory_total", type="metadata") == 1
    assert value(metrics, "ingestion_reports_total", outcome="Done") == 1
    metrics, reconciling = start()
    reconciling.reconcile(KEY, [])
    assert runs(metrics, "failed") == 0
    assert value(metrics, "ingestion_run_out_of_memory_total", type="metadata") == 0
    assert value(metrics, "ingestion_reports_total", outcome="Done") == 0
    assert value(metrics, "ingestion_pipelines", ready="true", reason="Reconciled") == 1
    labels = {"namespace": NAMESPACE, "pipeline": NAME}
    assert value(metrics, "ingestion_pipeline_next_schedule_timestamp_seconds", **labels)


def test_a_status_that_was_not_written_counts_nothing(ended: FakeCluster, start: Start) -> None:
    metrics, reconciling = start()
    ended.fail("apply", Conflict("newer", code=409), plural="ingestionpipelines")
    with pytest.raises(Conflict):
        reconciling.reconcile(KEY, [])
    assert runs(metrics, "failed") is None
    reconciling.reconcile(KEY, [])
    assert runs(metrics, "failed") == 1


@pytest.mark.usefixtures("ended")
def test_a_report_that_waits_is_pending_until_it_is_made(sink: FakeSink, start: Start) -> None:
    metrics, reconciling = start()
    sink.down = Unavailable("away")
    reconciling.reconcile(KEY, [])
    assert value(metrics, "ingestion_reports_pending") == 1
    assert value(metrics, "ingestion_reports_total", outcome="Done") == 0


def test_a_start_is_timed_from_tick_creation_and_admission(cluster: FakeCluster, start: Start) -> None:
    metrics, reconciling = start()
    cluster.put(PIPELINES, manifest())
    body = job(created=3)
    body["metadata"]["annotations"] |= {ANNOTATION_SCHEDULED_AT: at(0), ANNOTATION_ADMITTED_AT: at(43)}
    cluster.put(JOBS, body)
    cluster.put(PODS, pod(running=True, created=49))
    for _ in range(2):
        reconciling.reconcile(KEY, [])
    for name, seconds in (("schedule_lag", 3), ("queue_wait", 40), ("start", 7)):
        assert value(metrics, f"ingestion_run_{name}_seconds_count") == 1
        assert value(metrics, f"ingestion_run_{name}_seconds_sum") == seconds


def test_series_of_a_pipeline_go_with_it(cluster: FakeCluster, start: Start) -> None:
    metrics, reconciling = start()
    cluster.put(PIPELINES, manifest())
    reconciling.reconcile(KEY, [])
    assert NAME in metrics.text().decode()
    metrics.keep_existing(lambda _: False)
    assert f'pipeline="{NAME}"' not in metrics.text().decode()


def test_reconciliations_are_timed_and_errors_counted_by_kind() -> None:
    metrics = OperatorMetrics()

    def reconcile(_: PipelineKey) -> None:
        raise failures.pop()

    # Prometheus sees no increase in a counter that begins with 1.
    assert value(metrics, "ingestion_operator_reconcile_errors_total", error="Unavailable") == 0
    failures = [RuntimeError("x"), Unavailable("away"), Unavailable("away")]
    for failure in (Unavailable, Unavailable, RuntimeError):
        with pytest.raises(failure):
            metrics.timed(reconcile)(KEY)
    assert value(metrics, "ingestion_operator_reconcile_errors_total", error="Unavailable") == 2
    assert value(metrics, "ingestion_operator_reconcile_errors_total", error="Unexpected") == 1
    assert value(metrics, "ingestion_operator_reconcile_seconds_count") == 3


def test_last_success_and_missed_ticks_are_gauges_by_pipeline(
    cluster: FakeCluster, clock: FakeClock, start: Start
) -> None:
    metrics, reconciling = start()
    labels = {"namespace": NAMESPACE, "pipeline": NAME}
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Complete"))
    cluster.put(PODS, pod(exit_code=0))
    reconciling.reconcile(KEY, [])
    success = value(metrics, "ingestion_pipeline_last_success_timestamp_seconds", **labels)
    assert success is not None
    assert abs(success - clock.now().timestamp()) < 3600
    assert value(metrics, "ingestion_pipeline_missed_schedule", **labels) == 0
    clock.moment += timedelta(days=3)
    reconciling.reconcile(KEY, [])
    assert value(metrics, "ingestion_pipeline_missed_schedule", **labels) == 1
    assert value(metrics, "ingestion_missed_schedules_total", reason="MissedSchedule") == 1
    reconciling.reconcile(KEY, [])
    assert value(metrics, "ingestion_missed_schedules_total", reason="MissedSchedule") == 1
