"""One site for the whole suite: the chart, installed, with exactly its Roles; the API server notes every call."""

from collections.abc import Iterator

import pytest

from tests.cluster import cluster as testbed
from tests.cluster.handle import Cluster
from tests.support import release
from tests.support.audit import Audit
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
def audit(bed: Cluster) -> Audit:
    """What the API server is asked for from now on: what an earlier suite left is gone."""
    remove(bed, NAMESPACE)
    return Audit(bed)


@pytest.fixture(scope="session")
def site(bed: Cluster, built: dict[str, str], audit: Audit) -> Iterator[Site]:  # noqa: ARG001  begun before it
    """A fresh namespace with the release, double and database; removed at the end, which must work too."""
    with open_site(bed, NAMESPACE, built, Credentials.random(), release.install) as opened:
        yield opened
    remove(bed, NAMESPACE)
