import pytest

from testing.entities import entity
from testing.jobs_of_a_world import RESOURCE
from testing.world import World


@pytest.fixture(params=[False, True], ids=["live", "cached"])
def world(request: pytest.FixtureRequest) -> World:
    """A cluster with nothing in it, and a client that reads it live or from a cache."""
    return World(is_cached=request.param)


@pytest.fixture
def deployed(world: World) -> World:
    """A cluster with one pipeline that the operator has seen."""
    world.client.deploy_pipeline(entity())
    world.operate(RESOURCE)
    return world
