"""Runs that the status has no room for are announced once, also where another process follows."""

from collections import Counter

from ingestion_operator import constants
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.reporting.reporter import Reporter
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, Body, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import AWAY, events, reconcile

COUNT = 40
FIELDS: Body = {"concurrency": {"policy": "Allow", "maxActiveRuns": 100}, "history": {"successful": 50, "failed": 50}}


def put_run(cluster: FakeCluster, number: int, *, ended: float | None = None) -> None:
    name = f"r{number:02}"
    end: Body = {"condition": "Failed", "ended": ended} if ended is not None else {}
    last: Body = {"exit_code": 1, "ended": ended} if ended is not None else {"running": True}
    cluster.put(JOBS, job(name, created=number, scheduled=False, **end))
    cluster.put(PODS, pod(f"{name}-a", of=name, created=number, **last))


def note_write(cluster: FakeCluster, clock: FakeClock) -> None:
    """Note when the status was written, as the API server does."""
    entry = {
        "manager": constants.STATUS_FIELD_MANAGER,
        "subresource": "status",
        "time": format_timestamp(clock.moment),
        "fieldsV1": {"f:status": {}},
    }
    cluster.edit(PIPELINES, NAMESPACE, NAME, lambda body: body["metadata"].update(managedFields=[entry]))


def counted(metrics: OperatorMetrics) -> float:
    lines = metrics.text().decode().splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith('ingestion_runs_total{state="failed"')
    )


def test_a_restart_announces_no_run_again(
    cluster: FakeCluster, clock: FakeClock, sink: FakeSink, reporter: Reporter
) -> None:
    counts = []

    def restart() -> None:
        metrics = OperatorMetrics()
        clock.forward(minutes=3)
        reconcile(Reconciling(cluster, settings, clock, reporter, observers=[metrics]))
        note_write(cluster, clock)
        counts.append(counted(metrics))

    cluster.put(PIPELINES, manifest(**FIELDS))
    for number in range(COUNT):
        put_run(cluster, number)
    restart()
    restart()
    assert Counter(events(cluster)) == {"RunStarted": COUNT}
    sink.down = AWAY
    for number in range(COUNT):
        put_run(cluster, number, ended=400 + number)
    restart()
    restart()
    assert Counter(events(cluster)) == {"RunStarted": COUNT, "RunFailed": COUNT}
    assert counts == [0, 0, COUNT, 0]


def test_what_happened_during_a_restart_is_announced(
    cluster: FakeCluster, clock: FakeClock, reporter: Reporter, sink: FakeSink
) -> None:
    sink.down = AWAY
    cluster.put(PIPELINES, manifest(**FIELDS))
    for number in range(COUNT):
        put_run(cluster, number)
    clock.forward(minutes=1)
    reconcile(Reconciling(cluster, settings, clock, reporter))
    note_write(cluster, clock)
    for number in range(COUNT):
        put_run(cluster, number, ended=90)
    for number in range(COUNT + 30, COUNT + 35):
        put_run(cluster, number)
    clock.forward(minutes=1)
    reconcile(Reconciling(cluster, settings, clock, reporter))
    assert Counter(events(cluster)) == {"RunStarted": COUNT + 5, "RunFailed": COUNT}
