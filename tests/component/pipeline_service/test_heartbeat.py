import asyncio

import pytest

from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.controllers import heartbeat
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import LEASES
from tests.support.world import World


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 0.001)


def beat(world: World, times: int) -> None:
    """Let the heart beat so many times."""
    left = iter(range(times))
    asyncio.run(heartbeat.beat(world.cluster, ["a", "b"], world.clock, lambda: next(left, None) is not None))


def test_every_namespace_gets_its_lease(world: World) -> None:
    beat(world, 1)
    assert [lease["metadata"]["namespace"] for lease in world.cluster.all(LEASES)] == ["a", "b"]


def test_it_is_renewed_as_long_as_the_queue_is_alive(world: World) -> None:
    beat(world, 1)
    world.clock.forward(seconds=10)
    beat(world, 3)
    lease = world.cluster.get(LEASES, "a", LEASE_NAME)
    assert lease is not None
    assert lease["spec"]["renewTime"] == "2026-03-01T12:00:10.000000Z"
    beat(world, 0)
    assert len([call for call in world.cluster.calls if call.verb == "apply"]) == 8


def test_a_renewal_that_fails_is_repeated_and_the_other_namespaces_are_renewed_all_the_same(world: World) -> None:
    world.cluster.fail("apply", Unavailable("away"))
    beat(world, 1)
    assert [lease["metadata"]["namespace"] for lease in world.cluster.all(LEASES)] == ["b"]
    beat(world, 1)
    assert len(world.cluster.all(LEASES)) == 2
