"""A real API server, the checkout's CustomResourceDefinition in it, and a namespace for each test module."""

import re
import uuid
from collections.abc import Iterator

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from testcluster import provider
from testcluster.handle import Cluster
from testing.install import install_crd


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The test cluster, with this checkout's CRD; started if it is not up."""
    found = provider.up()
    install_crd(found)
    return found


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> KubernetesCluster:
    """The operator's own client, as an administrator."""
    return KubernetesCluster(connect(read_configuration(str(cluster.kubeconfig))))


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test module, gone with all that is in it when the module ends."""
    module = re.sub("[^a-z]", "-", request.module.__name__.rpartition("test_")[2])
    name = f"test-{module}-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "ingestion.openmetadata.org/test=apiserver")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
