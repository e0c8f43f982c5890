import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.reporting.reporter import Reporter
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import OUT_OF_MEMORY


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster(clock: FakeClock) -> FakeCluster:
    return FakeCluster(clock)


@pytest.fixture
def settings_in_force() -> list[Settings]:
    """The last item is what the reconciling uses."""
    return [settings()]


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture
def logs() -> FakeLogs:
    return FakeLogs()


@pytest.fixture
def reporter(
    cluster: FakeCluster, sink: FakeSink, clock: FakeClock, settings_in_force: list[Settings], logs: FakeLogs
) -> Reporter:
    return reporter_over(cluster, sink, lambda: settings_in_force[-1], clock, logs)


@pytest.fixture
def reconciling(
    cluster: FakeCluster, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter
) -> Reconciling:
    return Reconciling(cluster, lambda: settings_in_force[-1], clock, reporter)


@pytest.fixture
def ended(cluster: FakeCluster) -> FakeCluster:
    """A pipeline whose only run has just run out of memory; at the server it is running."""
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    return cluster
