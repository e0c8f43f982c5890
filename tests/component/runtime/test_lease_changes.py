"""What becomes of the leader when its Lease is released, deleted or changed."""

import contextlib

import pytest

from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.errors import Conflict, Forbidden, Unavailable
from ingestion_operator.ports import LEASES
from ingestion_operator.runtime.leader_election import LeadershipLost
from testing.electors import NAMESPACE, TIMING, Replicas


def test_a_released_lease_is_acquired_at_once(replicas: Replicas) -> None:
    replicas.a.attempt()
    assert not replicas.b.attempt()
    replicas.a.release()
    assert not replicas.a.may_write
    assert replicas.b.attempt()


def test_a_changed_lease_is_released_too(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.cluster.edit(LEASES, NAMESPACE, LEASE_NAME, lambda body: body["metadata"].update(labels={"x": "y"}))
    replicas.a.release()
    assert replicas.holder == ""


def test_a_released_elector_acquires_nothing_again(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.a.release()
    assert not replicas.a.attempt()
    assert replicas.holder == ""


def test_a_release_that_fails_ends_writing_all_the_same(replicas: Replicas, caplog: pytest.LogCaptureFixture) -> None:
    replicas.a.attempt()
    replicas.cluster.fail("merge_patch", Unavailable("away"))
    replicas.a.release()
    assert not replicas.a.may_write
    assert "Lease ops/ingestion-operator was not released: away" in caplog.text


def test_a_replaced_leader_does_not_release_the_others(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration)
    replicas.b.attempt()
    replicas.a.release()
    assert replicas.holder == "b"


def test_a_standby_releases_nothing(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.b.release()
    assert replicas.holder == "a"


def test_a_container_started_again_in_its_pod_leads_at_once(replicas: Replicas) -> None:
    replicas.a.attempt()
    again = replicas.another("a")
    assert again.attempt()
    assert again.term > replicas.a.term


def test_a_deleted_lease_is_created_again_by_its_leader(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    before, fence = replicas.a.term, replicas.a.fence()
    replicas.delete()
    assert not replicas.b.attempt()  # the leader may write until its renew deadline
    replicas.pass_seconds(2)
    assert replicas.a.attempt()
    assert replicas.holder == "a"
    assert replicas.a.may_write
    assert replicas.a.term > before
    assert not fence()  # another replica may have led between the two


def test_a_lease_deleted_beside_a_dead_leader_is_created_later(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    before = replicas.a.term
    replicas.delete()
    replicas.pass_seconds(TIMING.lease_duration - 1)
    assert not replicas.b.attempt()
    replicas.pass_seconds(1)
    assert replicas.b.attempt()
    assert replicas.b.term > before


def test_a_leader_cut_off_for_long_waits_before_it_creates(replicas: Replicas) -> None:
    """Another replica may have led since, and its Lease was deleted."""
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration)
    assert replicas.b.attempt()
    replicas.delete()
    assert not replicas.a.attempt()
    assert replicas.b.may_write
    assert replicas.b.attempt()
    with pytest.raises(LeadershipLost):
        replicas.a.attempt()


def test_a_leader_alone_creates_its_lease_however_late(replicas: Replicas) -> None:
    """Its namespace was deleted, and exists again after an hour."""
    replicas.a.attempt()
    replicas.delete()
    replicas.cluster.fail("create", Forbidden("the namespace is being deleted", code=403), times=1000)
    for _ in range(60):
        replicas.pass_seconds(60)
        with contextlib.suppress(Forbidden):
            assert not replicas.a.attempt()
        assert not replicas.a.may_write
    replicas.cluster._faults.clear()
    assert replicas.a.attempt()
    assert replicas.a.may_write


def test_a_lease_deleted_and_acquired_by_another_is_a_loss(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.delete()
    assert replicas.b.attempt()  # it has never seen that there was one
    with pytest.raises(LeadershipLost, match="held by b"):
        replicas.a.attempt()
    assert not replicas.a.may_write


def test_a_holder_removed_manually_is_acquired_again_in_place(replicas: Replicas) -> None:
    replicas.a.attempt()
    before = replicas.a.term
    replicas.edit(holderIdentity="")
    assert replicas.a.attempt()
    assert replicas.holder == "a"
    assert replicas.a.term > before


def test_a_conflict_without_another_holder_is_only_retried(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.cluster.fail("merge_patch", Conflict("changed", code=409), times=2)
    assert not replicas.a.attempt()
    assert replicas.a.attempt()
