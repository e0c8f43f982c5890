"""Who leads, over an API server in memory and a time that is set: single attempts of several replicas."""

import pytest

from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.errors import Forbidden, Unavailable
from ingestion_operator.ports import LEASES
from ingestion_operator.runtime.leader_election import ElectionTiming, LeadershipLost
from testing.electors import NAMESPACE, TIMING, Replicas


def test_the_first_leads_and_the_other_stands_by(replicas: Replicas) -> None:
    assert replicas.a.attempt()
    assert not replicas.b.attempt()
    assert replicas.a.may_write
    assert not replicas.b.may_write
    assert replicas.holder == "a"
    assert replicas.lease()["metadata"]["namespace"] == NAMESPACE


def test_of_two_that_start_at_once_one_leads(replicas: Replicas) -> None:
    replicas.cluster.interleave("create", replicas.b.attempt)
    assert not replicas.a.attempt()
    assert replicas.holder == "b"
    assert not replicas.a.may_write


def test_of_two_that_find_it_run_out_one_leads(replicas: Replicas) -> None:
    replicas.another("dead").attempt()
    assert not replicas.a.attempt()
    assert not replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration)
    replicas.cluster.interleave("merge_patch", replicas.b.attempt)
    assert not replicas.a.attempt()
    assert replicas.holder == "b"
    assert not replicas.a.may_write


def test_as_long_as_it_is_renewed_no_other_acquires_it(replicas: Replicas) -> None:
    replicas.a.attempt()
    for _ in range(10):
        assert not replicas.b.attempt()
        replicas.pass_seconds(5)
        assert replicas.a.attempt()
    assert not replicas.b.attempt()


def test_a_renewal_is_one_call(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.cluster.calls.clear()
    replicas.a.attempt()
    assert [call.verb for call in replicas.cluster.calls] == ["merge_patch"]


def test_a_dead_leader_is_followed_when_its_lease_has_run_out(replicas: Replicas) -> None:
    replicas.a.attempt()
    assert not replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration - 1)
    assert not replicas.b.attempt()
    replicas.pass_seconds(1)
    assert replicas.b.attempt()
    assert replicas.lease()["spec"]["leaseTransitions"] == 1


def test_the_time_in_the_lease_is_not_trusted(replicas: Replicas) -> None:
    """Clocks of machines differ."""
    replicas.a.attempt()
    replicas.edit(renewTime="2001-01-01T00:00:00.000000Z")
    assert not replicas.b.attempt()


@pytest.mark.parametrize("duration", [None, 0, -5, "soon"])
def test_a_lease_without_a_valid_duration_counts_as_usual(replicas: Replicas, duration: object) -> None:
    replicas.a.attempt()
    replicas.edit(leaseDurationSeconds=duration, leaseTransitions=duration)
    assert not replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration - 1)
    assert not replicas.b.attempt()
    replicas.pass_seconds(1)
    assert replicas.b.attempt()


def test_an_empty_lease_is_free(replicas: Replicas) -> None:
    replicas.cluster.put(
        LEASES, {"apiVersion": "v1", "kind": "Lease", "metadata": {"namespace": NAMESPACE, "name": LEASE_NAME}}
    )
    assert replicas.a.attempt()
    assert replicas.holder == "a"


def test_a_leader_stops_writing_before_another_can_begin(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.pass_seconds(TIMING.renew_deadline)
    assert not replicas.a.may_write
    assert not replicas.b.attempt()


def test_the_deadline_counts_from_before_the_call(replicas: Replicas) -> None:
    replicas.cluster.interleave("create", lambda: replicas.pass_seconds(4))
    assert replicas.a.attempt()
    replicas.pass_seconds(TIMING.renew_deadline - 4)
    assert not replicas.a.may_write


def test_a_leader_cut_off_and_not_replaced_goes_on_in_its_term(replicas: Replicas) -> None:
    replicas.a.attempt()
    fence = replicas.a.fence()
    replicas.pass_seconds(600)
    for error in (Unavailable("away"), Forbidden("no permissions", code=403)):
        replicas.cluster.fail("merge_patch", error)
        with pytest.raises(type(error)):
            replicas.a.attempt()
        assert not replicas.a.may_write
        assert not fence()
    assert replicas.a.attempt()
    assert replicas.a.may_write
    assert fence()


def test_a_replaced_leader_learns_it_at_its_next_renewal(replicas: Replicas) -> None:
    replicas.a.attempt()
    replicas.b.attempt()
    replicas.pass_seconds(TIMING.lease_duration)
    assert replicas.b.attempt()
    with pytest.raises(LeadershipLost, match="held by b"):
        replicas.a.attempt()
    assert not replicas.a.may_write
    replicas.a.release()
    assert replicas.holder == "b"


def test_a_label_on_the_lease_costs_nothing(replicas: Replicas) -> None:
    replicas.a.attempt()
    term = replicas.a.term
    replicas.cluster.edit(LEASES, NAMESPACE, LEASE_NAME, lambda body: body["metadata"].update(labels={"x": "y"}))
    replicas.pass_seconds(5)
    assert replicas.a.attempt()
    assert replicas.a.may_write
    assert replicas.a.term == term


def test_a_renewal_whose_answer_was_lost_is_not_a_loss(replicas: Replicas) -> None:
    replicas.a.attempt()
    fence = replicas.a.fence()
    replicas.cluster.fail("merge_patch", Unavailable("answer lost"), after=True)
    with pytest.raises(Unavailable):
        replicas.a.attempt()
    assert replicas.a.attempt()
    assert fence()


@pytest.mark.parametrize("verb", ["create", "merge_patch"])
def test_an_acquisition_whose_answer_was_lost_is_repeated(replicas: Replicas, verb: str) -> None:
    if verb == "merge_patch":
        replicas.b.attempt()
        replicas.b.release()
    replicas.cluster.fail(verb, Unavailable("answer lost"), after=True)
    with pytest.raises(Unavailable):
        replicas.a.attempt()
    assert not replicas.a.may_write
    assert replicas.a.attempt()
    assert replicas.a.may_write


def test_the_term_grows_with_each_acquisition(replicas: Replicas) -> None:
    terms = [replicas.a.term]
    first = last = replicas.another("0")
    for number in range(1, 5):
        assert last.attempt()
        terms.append(last.term)
        last.release()
        last = replicas.another(str(number))
    assert terms == [0, 1, 2, 3, 4]
    assert not first.fence()()


def test_a_fence_of_one_who_does_not_lead_is_closed(replicas: Replicas) -> None:
    fence = replicas.a.fence()
    assert not fence()
    replicas.a.attempt()
    assert not fence()  # it was made before this term
    assert replicas.a.fence()()


@pytest.mark.parametrize(("duration", "deadline", "retry"), [(10, 10.0, 2.0), (15, 2.0, 2.0), (15, 10.0, 0.0)], ids=str)
def test_a_timing_that_cannot_work_is_refused(duration: int, deadline: float, retry: float) -> None:
    with pytest.raises(ValueError, match="must hold"):
        ElectionTiming(duration, deadline, retry)
