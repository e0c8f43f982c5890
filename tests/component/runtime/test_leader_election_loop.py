"""The election as it goes on: real time, real threads, an API server in memory that fails."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Unavailable
from ingestion_operator.ports import LEASES
from ingestion_operator.runtime.health import Health
from ingestion_operator.runtime.leader_election import ElectionTiming, LeaderElector
from testing.fake_cluster import Call, FakeCluster
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

_T = TypeVar("_T")

NAMESPACE = "ops"
TIMING = ElectionTiming(lease_duration=1, renew_deadline=0.5, retry_period=0.02)


class Server(FakeCluster):
    """For several threads, and with a patch that hangs when the gate is closed: the first one from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def _call(self, call: Call, effect: Callable[[], _T]) -> _T:
        if call.verb == "merge_patch" and not self.gate.is_set() and not self.entered.is_set():
            self.entered.set()
            assert self.gate.wait(10)
        with self._lock:
            return super()._call(call, effect)


class Replica:
    """An elector at work, and what it has reported."""

    def __init__(self, cluster: Server, identity: str = "a") -> None:
        self.elector = LeaderElector(cluster, NAMESPACE, identity, SystemClock(), timing=TIMING)
        self.changes: list[bool] = []
        self.losses = 0
        self.beats = 0

    def lost(self) -> None:
        self.losses += 1

    def heartbeat(self) -> None:
        self.beats += 1

    async def run(self) -> None:
        await self.elector.run(lost=self.lost, changed=self.changes.append, heartbeat=self.heartbeat)


@asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Let replicas stand for election, the first of them first."""
    tasks = list[asyncio.Task[None]]()
    try:
        for replica in replicas:
            tasks.append(asyncio.create_task(replica.run()))
            await until("the first leads", lambda: replicas[0].changes)
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def cluster() -> Server:
    return Server()


def holder(cluster: Server) -> str:
    lease = cluster.get(LEASES, NAMESPACE, LEASE_NAME)
    return str(lease["spec"]["holderIdentity"]) if lease else ""


def outage(cluster: Server, error: ClusterError) -> None:
    for verb in ("get", "create", "merge_patch"):
        cluster.fail(verb, error, times=1_000_000)


async def test_a_leader_renews_for_as_long_as_it_runs(cluster: Server) -> None:
    replica, other = Replica(cluster), Replica(cluster, "b")
    async with running(replica, other):
        await asyncio.wait_for(replica.elector.wait_until_leading(), 10)
        await asyncio.sleep(2 * TIMING.lease_duration)
        assert (replica.changes, other.changes) == ([True], [])
        assert not other.elector.may_write
    assert holder(cluster) == "a"


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("away"),
        Unavailable("overloaded", code=429),
        Unavailable("broken", code=500),
        Forbidden("who are you", code=401),
        Forbidden("no permissions", code=403),
        NotFound("no namespace", code=404),
        Invalid("refused", code=422),
        ClusterError("odd", code=418),
    ],
    ids=lambda error: str(error.code),
)
async def test_no_error_of_the_api_server_ends_the_election(cluster: Server, error: ClusterError) -> None:
    replica, health = Replica(cluster), Health()
    health.loop("lease")
    async with running(replica) as (task,):
        outage(cluster, error)
        await until("writing has stopped", lambda: replica.changes[:2] == [True, False])
        assert not replica.elector.may_write
        beats = replica.beats
        await until("it goes on to try", lambda: replica.beats > beats + 5)
        assert not task.done()
        cluster._faults.clear()
        await until("it leads again", lambda: replica.changes[:3] == [True, False, True])
        assert replica.elector.may_write
        assert replica.losses == 0


async def test_an_unexpected_error_does_not_end_the_election(cluster: Server, caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica(cluster)
    cluster.fail("get", KeyError("metadata"), times=3)
    async with running(replica):
        pass
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None


async def test_a_deleted_lease_is_created_again_and_writing_goes_on(cluster: Server) -> None:
    replica, other = Replica(cluster), Replica(cluster, "b")
    async with running(replica, other):
        beats = other.beats
        await until("the other has seen the Lease", lambda: other.beats > beats + 1)
        cluster.delete(LEASES, NAMESPACE, LEASE_NAME)
        await until("there is a Lease again", lambda: holder(cluster) == "a")
        await until("the new term is reported", lambda: replica.changes[:2] == [True, True])
        assert replica.elector.may_write
        assert (replica.losses, other.changes) == (0, [])


async def test_a_lease_taken_by_another_ends_the_process(cluster: Server) -> None:
    replica = Replica(cluster)
    async with running(replica) as (task,):
        cluster.edit(LEASES, NAMESPACE, LEASE_NAME, lambda lease: lease["spec"].update(holderIdentity="b"))
        await asyncio.wait_for(task, 10)
        assert replica.losses == 1
        assert replica.changes == [True, False]
        assert not replica.elector.may_write
        replica.elector.release()
        assert holder(cluster) == "b"


async def test_a_standby_leads_after_a_release(cluster: Server) -> None:
    replica, other = Replica(cluster), Replica(cluster, "b")
    async with running(replica, other) as (task, _):
        await asyncio.to_thread(replica.elector.release)
        await until("the other leads", lambda: other.changes == [True], seconds=TIMING.lease_duration)
        await asyncio.wait_for(task, 10)
        assert replica.changes[-1:] == [False]
        assert replica.losses == 0


async def test_a_hanging_renewal_does_not_delay_the_stop_of_writing(cluster: Server) -> None:
    replica = Replica(cluster)
    async with running(replica):
        cluster.gate.clear()
        await until("a renewal hangs", cluster.entered.is_set)
        await until("the stop is reported", lambda: replica.changes[:2] == [True, False], seconds=5)
        cluster.gate.set()
        await until("it leads again", lambda: replica.changes[:3] == [True, False, True])


async def test_a_release_comes_after_a_renewal_in_progress(cluster: Server) -> None:
    """Tasks are cancelled while a thread renews: what it writes must not come after the release."""
    replica = Replica(cluster)
    async with running(replica) as (task,):
        cluster.gate.clear()
        await until("a renewal is in progress", cluster.entered.is_set)
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        release = asyncio.get_running_loop().run_in_executor(None, replica.elector.release)
        await until("writing has stopped", lambda: not replica.elector.may_write)
        await asyncio.sleep(0.05)  # time in which it could come too early
        assert not release.done()
        cluster.gate.set()
        await asyncio.wait_for(release, 10)
        assert holder(cluster) == ""
        assert not replica.elector.may_write


async def test_an_outage_is_logged_when_it_begins_and_ends(cluster: Server, caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica(cluster)
    with caplog.at_level(logging.INFO):
        async with running(replica):
            outage(cluster, Unavailable("away", code=503))
            await until("writing has stopped", lambda: replica.changes[:2] == [True, False])
            cluster._faults.clear()
            await until("it leads again", lambda: replica.changes[:3] == [True, False, True])
    name = f"Lease {NAMESPACE}/{LEASE_NAME}"
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name.startswith("ing")] == [
        ("INFO", f"This replica leads: it holds {name} in term 1"),
        ("WARNING", f"{name} was not renewed or acquired: away"),
        ("WARNING", f"This replica stops writing: {name} was lost or not renewed in time"),
        ("INFO", f"{name} is accessible again"),
        ("INFO", f"This replica leads: it holds {name} in term 1"),
    ]


async def test_standing_by_is_logged_once_for_each_holder(cluster: Server, caplog: pytest.LogCaptureFixture) -> None:
    replica, other = Replica(cluster), Replica(cluster, "b")
    with caplog.at_level(logging.INFO):
        async with running(replica, other):
            await until("the other has tried often", lambda: other.beats > 10)
    assert [message for message in caplog.messages if "Standby" in message] == [
        f"Standby: Lease {NAMESPACE}/{LEASE_NAME} is held by a"
    ]
