"""A cluster with this checkout's images, and Helm."""

import pytest

from tests.cluster import cluster as testbed
from tests.cluster.handle import Cluster
from tools import images


@pytest.fixture(scope="session")
def bed() -> Cluster:
    """The cluster that the test bed provides; started if it is not up."""
    return testbed.up()


@pytest.fixture(scope="session")
def built(bed: Cluster) -> dict[str, str]:
    """The images of this checkout, in the cluster."""
    return images.load(bed, ["operator", "runner"])
