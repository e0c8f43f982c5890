"""Which replica acts, over an API server in memory and clocks that are moved."""

from typing import Any

import pytest

from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.errors import Unavailable
from ingestion_operator.leadership import DURATION_SECONDS, TRUST_SECONDS, Leadership, LeadershipLost
from ingestion_operator.ports import LEASES
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster

NAMESPACE = "ops"


class Replicas:
    """Two operators that stand for the same Lease, and the time that both live in."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.began = self.clock.now()
        self.a, self.b = self.another("a"), self.another("b")

    def another(self, identity: str) -> Leadership:
        return Leadership(self.cluster, NAMESPACE, identity, self.clock, self.seconds)

    def seconds(self) -> float:
        return (self.clock.now() - self.began).total_seconds()

    def lease(self) -> dict[str, Any]:
        lease = self.cluster.get(LEASES, NAMESPACE, LEASE_NAME)
        assert lease is not None
        return lease

    @property
    def holder(self) -> str:
        return str(self.lease()["spec"]["holderIdentity"])


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


def test_the_first_one_acts_and_the_other_stands_by(replicas: Replicas) -> None:
    assert replicas.a.attempt()
    assert not replicas.b.attempt()
    assert replicas.a.may_write
    assert not replicas.b.may_write
    assert replicas.holder == "a"


def test_of_two_that_start_at_once_one_acts(replicas: Replicas) -> None:
    replicas.cluster.interleave("create", replicas.b.attempt)
    assert not replicas.a.attempt()
    assert replicas.holder == "b"


def test_as_long_as_it_is_renewed_nobody_else_gets_it(replicas: Replicas) -> None:
    replicas.a.attempt()
    for _ in range(10):
        assert not replicas.b.attempt()
        replicas.clock.forward(seconds=5)
        replicas.a.renew()
    assert not replicas.b.attempt()


def test_a_holder_that_has_died_is_followed_when_its_lease_has_run_out_and_not_before(replicas: Replicas) -> None:
    replicas.a.attempt()
    assert not replicas.b.attempt()
    replicas.clock.forward(seconds=DURATION_SECONDS - 1)
    assert not replicas.b.attempt()
    replicas.clock.forward(seconds=1)
    assert replicas.b.attempt()
    assert replicas.lease()["spec"]["leaseTransitions"] == 1


def test_the_time_in_the_lease_is_not_trusted_since_clocks_differ(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.cluster.edit(
        LEASES, NAMESPACE, LEASE_NAME, lambda body: body["spec"].update(renewTime="2001-01-01T00:00:00.000000Z")
    )
    assert not replicas.b.attempt()


def test_a_holder_stops_writing_before_another_can_begin(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.clock.forward(seconds=TRUST_SECONDS)
    assert not replicas.a.may_write
    assert not replicas.b.attempt()
    assert TRUST_SECONDS < DURATION_SECONDS


def test_a_holder_that_was_cut_off_and_not_replaced_goes_on(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.clock.forward(seconds=60)
    replicas.cluster.fail("merge_patch", Unavailable("away"))
    with pytest.raises(Unavailable):
        replicas.a.renew()
    assert not replicas.a.may_write
    replicas.a.renew()
    assert replicas.a.may_write


def test_a_holder_that_was_replaced_learns_it_at_its_next_renewal(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.clock.forward(seconds=DURATION_SECONDS)
    assert replicas.b.attempt()
    with pytest.raises(LeadershipLost, match="held by b"):
        replicas.a.renew()
    assert not replicas.a.may_write
    assert replicas.holder == "b"


def test_somebody_elses_label_on_the_lease_costs_nothing(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.cluster.edit(LEASES, NAMESPACE, LEASE_NAME, lambda body: body["metadata"].update(labels={"x": "y"}))
    replicas.clock.forward(seconds=5)
    replicas.a.renew()
    assert replicas.a.may_write


def test_a_lease_that_is_given_back_is_taken_at_once(replicas: Replicas) -> None:
    replicas.a.attempt()
    assert not replicas.b.attempt()
    replicas.a.release()
    assert not replicas.a.may_write
    assert replicas.b.attempt()


def test_one_that_has_lost_the_lease_does_not_give_back_the_others(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.clock.forward(seconds=DURATION_SECONDS)
    replicas.b.attempt()
    replicas.a.release()
    assert replicas.holder == "b"


def test_a_container_that_starts_again_in_the_same_pod_goes_on_at_once(replicas: Replicas) -> None:
    replicas.a.attempt()
    assert replicas.another("a").attempt()


def test_a_renewal_that_was_made_but_not_answered_is_no_loss(replicas: Replicas) -> None:
    replicas.a.attempt()
    renewed_elsewhere = replicas.another("a")
    renewed_elsewhere.attempt()  # the same identity has moved the resourceVersion on
    replicas.a.renew()
    assert replicas.a.may_write
