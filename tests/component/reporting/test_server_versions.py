"""The server's version in a pipeline's status, and how often a server is asked for it."""

from collections.abc import Callable
from threading import Event

import pytest

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Condition
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import EVENTS, PIPELINES, ServerAccess
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import MAX_REQUESTS, VALID_SECONDS, ServerVersions
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAME, NAMESPACE, manifest, settings
from testing.reconciling import Reconciling
from testing.waiting import wait_for

KEY = PipelineKey(NAMESPACE, NAME)
CALLER = (NAMESPACE, NAME)
SERVER = ServerAccess("http://openmetadata:8585/api", "no-ssl")


class FakeServer:
    """Answers requests when a test allows it."""

    def __init__(self) -> None:
        self.version: str | None = "2.0.6"
        self.down = False
        self.asked: list[ServerAccess] = []
        self.pending: list[Callable[[], None]] = []

    def ask(self, server: ServerAccess) -> str | None:
        self.asked.append(server)
        if self.down:
            raise Unavailable("away")
        return self.version

    def start(self, work: Callable[[], None]) -> None:
        self.pending.append(work)

    def answer(self) -> None:
        pending, self.pending = self.pending, []
        for work in pending:
            work()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def versions(server: FakeServer, clock: FakeClock) -> ServerVersions:
    def monotonic() -> float:
        return clock.moment.timestamp()

    return ServerVersions(server.ask, monotonic=monotonic, start=server.start)


@pytest.fixture
def reconciling(cluster: FakeCluster, clock: FakeClock, reporter: Reporter, versions: ServerVersions) -> Reconciling:
    return Reconciling(cluster, settings, clock, reporter, versions=versions)


def mismatch(cluster: FakeCluster) -> Condition | None:
    (body,) = cluster.all(PIPELINES)
    found = (c for c in parse_status(body).conditions if c.type == "ServerVersionMatches")
    return next(found, None)


def reasons(cluster: FakeCluster) -> list[str]:
    return [event["reason"] for event in cluster.all(EVENTS)]


def reconcile(reconciling: Reconciling, server: FakeServer) -> None:
    """As the operator does: a reconciliation that starts a request, and another once its answer has come."""
    reconciling.reconcile(KEY, [])
    server.answer()
    reconciling.reconcile(KEY, [])


def test_a_server_of_another_version_gets_condition_and_event(
    cluster: FakeCluster, reconciling: Reconciling, server: FakeServer, versions: ServerVersions
) -> None:
    cluster.put(PIPELINES, manifest())
    server.version = "1.13.6"

    reconciling.reconcile(KEY, [])
    assert mismatch(cluster) is None
    server.answer()
    assert versions.due() == [CALLER]
    reconciling.reconcile(KEY, [])

    condition = mismatch(cluster)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "VersionMismatch")
    assert condition.message.endswith("set spec.server.version to '1.13'")
    assert server.asked == [SERVER]
    reconciling.reconcile(KEY, [])
    assert reasons(cluster).count("VersionMismatch") == 1


def test_a_server_that_fits_costs_no_write(cluster: FakeCluster, reconciling: Reconciling, server: FakeServer) -> None:
    cluster.put(PIPELINES, manifest())
    reconciling.reconcile(KEY, [])
    cluster.calls.clear()

    reconcile(reconciling, server)

    assert server.asked
    assert mismatch(cluster) is None
    assert cluster.writes == []


def test_the_condition_goes_when_the_server_fits_again(
    cluster: FakeCluster, reconciling: Reconciling, server: FakeServer, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    server.version = "1.13.6"
    reconcile(reconciling, server)
    server.version = "2.0.0"
    clock.forward(seconds=VALID_SECONDS)

    reconcile(reconciling, server)

    assert mismatch(cluster) is None


def test_a_version_in_the_spec_that_fits_ends_the_mismatch(
    cluster: FakeCluster, reconciling: Reconciling, server: FakeServer
) -> None:
    cluster.put(PIPELINES, manifest(server={"hostPort": SERVER.host_port, "version": "1.13"}))
    server.version = "1.13.6"

    reconcile(reconciling, server)

    assert mismatch(cluster) is None


def test_an_unknown_version_changes_no_condition(
    cluster: FakeCluster, reconciling: Reconciling, server: FakeServer, clock: FakeClock, reporter: Reporter
) -> None:
    cluster.put(PIPELINES, manifest())
    server.down = True
    reconcile(reconciling, server)
    assert mismatch(cluster) is None
    server.down, server.version = False, "1.13.6"
    clock.forward(seconds=VALID_SECONDS)
    reconcile(reconciling, server)
    mismatched = mismatch(cluster)
    assert mismatched is not None

    # The operator has restarted, and the server does not answer.
    ignorant = ServerVersions(server.ask, monotonic=lambda: 0.0, start=server.start)
    server.down = True
    reconcile(Reconciling(cluster, settings, clock, reporter, versions=ignorant), server)

    assert mismatch(cluster) == mismatched


@pytest.mark.parametrize("down", [False, True])
def test_a_server_is_asked_every_ten_minutes_at_most(
    versions: ServerVersions, server: FakeServer, clock: FakeClock, *, down: bool
) -> None:
    server.down = down
    for _ in range(120):
        for number in range(5):
            versions.get(SERVER, (NAMESPACE, f"p{number}"))
        server.answer()
        clock.forward(seconds=10)

    assert len(server.asked) == 2


def test_all_pipelines_with_the_old_answer_are_named_once(versions: ServerVersions, server: FakeServer) -> None:
    for name in ("b", "a", "b"):
        assert versions.get(SERVER, (NAMESPACE, name)) is None
    assert versions.due() == []

    server.answer()

    assert versions.due() == [(NAMESPACE, "a"), (NAMESPACE, "b")]
    assert versions.due() == []
    assert versions.get(SERVER, (NAMESPACE, "a")) == "2.0.6"


def test_slow_servers_get_only_so_many_requests(versions: ServerVersions, server: FakeServer) -> None:
    servers = [ServerAccess(f"http://server-{number}/api", "no-ssl") for number in range(MAX_REQUESTS + 3)]
    for each in servers:
        versions.get(each, CALLER)
    assert len(server.pending) == MAX_REQUESTS
    server.answer()

    for each in servers:
        versions.get(each, CALLER)
    server.answer()

    assert server.asked == servers


def test_no_pipeline_waits_for_a_server() -> None:
    answered = Event()

    def slow(_: ServerAccess) -> str:
        assert answered.wait(10)
        return "2.0.6"

    versions = ServerVersions(slow)
    assert versions.get(SERVER, CALLER) is None
    answered.set()
    assert wait_for("the answer", versions.due, timeout=5) == [CALLER]
    assert versions.get(SERVER, CALLER) == "2.0.6"
