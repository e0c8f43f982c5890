"""The heartbeat in further namespaces: each has its own, whatever happens in the others."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.errors import Forbidden, NotFound, Unavailable
from ingestion_operator.ports import LEASES
from ingestion_operator.runtime.heartbeat import DURATION_SECONDS, RENEW_SECONDS, lease_body, renew_heartbeats
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


class Server(FakeCluster):
    """Counts renewals by namespace; some namespaces fail, and some hang until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.renewals: dict[str, int] = {}
        self.failing: dict[str, Exception] = {}
        self.hanging = set[str]()
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def apply(self, kind: Any, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        namespace = body["metadata"]["namespace"]
        if namespace in self.hanging:
            assert self.gate.wait(10)
        with self._lock:
            self.renewals[namespace] = self.renewals.get(namespace, 0) + 1
            if namespace in self.failing:
                raise self.failing[namespace]
            return super().apply(kind, body, **options)

    def has_renewed(self, namespace: str, times: int) -> Callable[[], bool]:
        until_then = self.renewals.get(namespace, 0) + times
        return lambda: self.renewals.get(namespace, 0) >= until_then


@asynccontextmanager
async def beating(
    server: Server, namespaces: Collection[str] = ("a", "b"), is_alive: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    task = asyncio.create_task(renew_heartbeats(server, namespaces, SystemClock(), is_alive, seconds=0.005))
    try:
        yield
        assert not task.done()
    finally:
        server.gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def server() -> Server:
    return Server()


async def test_every_namespace_has_its_lease(server: Server) -> None:
    async with beating(server):
        await until("both are renewed", lambda: server.renewals.keys() == {"a", "b"})
    leases = [lease["metadata"] for lease in server.all(LEASES)]
    assert sorted((lease["namespace"], lease["name"]) for lease in leases) == [("a", LEASE_NAME), ("b", LEASE_NAME)]


def test_without_namespaces_there_is_nothing_to_renew(server: Server) -> None:
    asyncio.run(asyncio.wait_for(renew_heartbeats(server, [], SystemClock(), lambda: True), 10))
    assert server.calls == []


async def test_a_lease_is_renewed_while_the_queue_is_alive(server: Server) -> None:
    alive = [True]
    async with beating(server, is_alive=lambda: alive[0]):
        await until("it was renewed", server.has_renewed("a", 3))
        alive[0] = False
        await asyncio.sleep(0.05)  # a renewal may be in progress
        before = dict(server.renewals)
        await asyncio.sleep(0.05)  # time for several more
        assert server.renewals == before
        alive[0] = True
        await until("it is renewed again", server.has_renewed("a", 1))


@pytest.mark.parametrize(
    "error",
    [
        NotFound("no namespace", code=404),
        Forbidden("no permissions", code=403),
        Unavailable("away"),
        KeyError("metadata"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_namespace_that_fails_stops_no_other(server: Server, error: Exception) -> None:
    server.failing["a"] = error
    async with beating(server):
        await until("the other is renewed", server.has_renewed("b", 5))
        await until("the failing one is tried", server.has_renewed("a", 5))
        server.failing.clear()
        await until("it is renewed too", lambda: len(server.all(LEASES)) == 2)


async def test_a_namespace_that_hangs_delays_no_other(server: Server) -> None:
    server.hanging.add("a")
    async with beating(server):
        await until("the other is renewed", server.has_renewed("b", 5))
        assert "a" not in server.renewals


def test_an_error_is_logged_once_until_it_changes(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    gone, refused = NotFound("no namespace", code=404), Forbidden("no permissions", code=403)

    async def run() -> None:
        async with beating(server, ["a"]):
            for error in (gone, refused):
                server.failing["a"] = error
                await until("it fails often", server.has_renewed("a", 5))
            server.failing.clear()
            await until("it is renewed again", server.has_renewed("a", 2))

    server.failing["a"] = gone
    with caplog.at_level(logging.INFO, "ingestion_operator"):
        asyncio.run(run())
    name = f"Lease a/{LEASE_NAME}"
    assert caplog.messages == [
        f"{name} was not renewed: no namespace",
        f"{name} was not renewed: no permissions",
        f"{name} is renewed again",
    ]


def test_a_heartbeat_elects_no_leader_and_outlives_two_failures() -> None:
    spec = lease_body("a", FakeClock().now())["spec"]
    assert spec["renewTime"] == "2026-03-01T12:00:00.000000Z"
    assert "leaseTransitions" not in spec
    assert spec["leaseDurationSeconds"] == DURATION_SECONDS >= 3 * RENEW_SECONDS
