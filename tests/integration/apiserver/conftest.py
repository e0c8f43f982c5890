"""A real API server, the checkout's CustomResourceDefinition in it, and a namespace for each test module."""

import re
import uuid
from collections.abc import Iterator

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from testcluster import cluster
from testcluster.handle import Cluster
from testing.installation import install_definition


@pytest.fixture(scope="session")
def bed() -> Cluster:
    """The cluster that the test bed provides, with this checkout's definition; started if it is not up."""
    found = cluster.up()
    install_definition(found)
    return found


@pytest.fixture(scope="session")
def api(bed: Cluster) -> KubernetesCluster:
    """The operator's own client, as an administrator."""
    return KubernetesCluster(connect(read_configuration(str(bed.kubeconfig))))


@pytest.fixture(scope="module")
def namespace(bed: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test module, gone with all that is in it when the module ends."""
    module = re.sub("[^a-z]", "-", request.module.__name__.rpartition("test_")[2])
    name = f"test-{module}-{uuid.uuid4().hex[:6]}"
    bed.kubectl("create", "namespace", name)
    bed.kubectl("label", "namespace", name, "ingestion.openmetadata.org/test=apiserver")
    yield name
    bed.kubectl("delete", "namespace", name, "--wait=false")
