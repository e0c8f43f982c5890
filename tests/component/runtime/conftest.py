import pytest

from testing.electors import Replicas


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()
