import pytest

from tests.support.entities import entity
from tests.support.jobs_of_a_world import RESOURCE
from tests.support.world import World


@pytest.fixture
def world() -> World:
    """A cluster with nothing in it."""
    return World()


@pytest.fixture
def deployed(world: World) -> World:
    """A cluster with one pipeline that the operator has seen."""
    world.client.deploy_pipeline(entity())
    world.operate(RESOURCE)
    return world
