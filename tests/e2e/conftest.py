"""One site for the whole suite: the operator installed from manifests/, with exactly its Role."""

from collections.abc import Iterator

import pytest

from tests.cluster import cluster as testbed
from tests.cluster.handle import Cluster
from tests.support.site import Credentials, Site, open_site, remove
from tools import images

NAMESPACE = "e2e"


@pytest.fixture(scope="session")
def bed() -> Cluster:
    """The cluster that the test bed provides; started if it is not up."""
    return testbed.up()


@pytest.fixture(scope="session")
def built(bed: Cluster) -> dict[str, str]:
    """The images of this checkout, in the cluster."""
    return images.load(bed, ["operator", "runner", "double", "postgres"])


@pytest.fixture(scope="session")
def site(bed: Cluster, built: dict[str, str]) -> Iterator[Site]:
    """A fresh namespace with operator, double and database; removed at the end, which must work too."""
    remove(bed, NAMESPACE)
    with open_site(bed, NAMESPACE, built, Credentials.random()) as opened:
        yield opened
    remove(bed, NAMESPACE)
