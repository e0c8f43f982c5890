"""Replicas that elect a leader over a Lease in memory."""

from typing import Any

from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.ports import LEASES
from ingestion_operator.runtime.leader_election import ElectionTiming, LeaderElector
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster

NAMESPACE = "ops"
TIMING = ElectionTiming()


class Replicas:
    """Two operators that stand for the same Lease, and the time that both live in."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.began = self.clock.now()
        self.a, self.b = self.another("a"), self.another("b")

    def another(self, identity: str) -> LeaderElector:
        return LeaderElector(self.cluster, NAMESPACE, identity, self.clock, monotonic=self.seconds)

    def seconds(self) -> float:
        return (self.clock.now() - self.began).total_seconds()

    def pass_seconds(self, seconds: float) -> None:
        self.clock.forward(seconds=seconds)

    def edit(self, **spec: Any) -> None:
        self.cluster.edit(LEASES, NAMESPACE, LEASE_NAME, lambda body: body["spec"].update(spec))

    def delete(self) -> None:
        self.cluster.delete(LEASES, NAMESPACE, LEASE_NAME)

    def lease(self) -> dict[str, Any]:
        lease = self.cluster.get(LEASES, NAMESPACE, LEASE_NAME)
        assert lease is not None
        return lease

    @property
    def holder(self) -> str:
        return str(self.lease()["spec"]["holderIdentity"])
