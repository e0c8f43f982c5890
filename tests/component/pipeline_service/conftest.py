import pytest

from tests.support.world import World


@pytest.fixture
def world() -> World:
    """A cluster with nothing in it."""
    return World()
