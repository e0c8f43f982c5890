"""A cluster with this checkout's images, and nothing else of ours."""

from collections.abc import Iterator

import pytest

from testcluster.handle import Cluster
from testing.installation import OWN, remove

CRD = "ingestionpipelines.ingestion.openmetadata.org"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the module, empty; the cluster has no CRD of ours."""
    name = request.module.NAMESPACE
    remove(cluster, name)
    _refuse_to_delete_pipelines_of_others(cluster)
    cluster.kubectl("delete", "crd", CRD, "--ignore-not-found", "--timeout=60s", timeout=70)
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, f"{OWN}=install")
    yield name
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def _refuse_to_delete_pipelines_of_others(cluster: Cluster) -> None:
    if cluster.kubectl("get", "crd", CRD, "--ignore-not-found").strip():
        listed = cluster.kubectl("get", "omip", "--all-namespaces", "-o", "jsonpath={.items[*].metadata.namespace}")
        own = cluster.kubectl("get", "namespaces", "-l", OWN, "-o", "jsonpath={.items[*].metadata.name}")
        others = sorted(set(listed.split()) - set(own.split()))
        assert not others, f"delete the pipelines in {', '.join(others)} first, or use another cluster"
