"""A cluster with this checkout's images, and nothing else of ours."""

from collections.abc import Iterator

import pytest

from testcluster import cluster as testbed
from testcluster import images
from testcluster.handle import Cluster
from testing.site import OWN, remove

DEFINITION = "ingestionpipelines.ingestion.openmetadata.org"


@pytest.fixture(scope="session")
def bed() -> Cluster:
    """The cluster that the test bed provides; started if it is not up."""
    return testbed.up()


@pytest.fixture(scope="session")
def built(bed: Cluster) -> dict[str, str]:
    """The images of this checkout, in the cluster."""
    return images.load(bed, ["operator", "runner", "fake-openmetadata"])


@pytest.fixture(scope="module")
def namespace(bed: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the module, empty; the cluster has no definition of ours."""
    name = request.module.NAMESPACE
    remove(bed, name)
    _refuse_to_delete_pipelines_of_others(bed)
    bed.kubectl("delete", "crd", DEFINITION, "--ignore-not-found", "--timeout=60s", timeout=70)
    bed.kubectl("create", "namespace", name)
    bed.kubectl("label", "namespace", name, f"{OWN}=install")
    yield name
    bed.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def _refuse_to_delete_pipelines_of_others(bed: Cluster) -> None:
    if bed.kubectl("get", "crd", DEFINITION, "--ignore-not-found").strip():
        listed = bed.kubectl("get", "omip", "--all-namespaces", "-o", "jsonpath={.items[*].metadata.namespace}")
        own = bed.kubectl("get", "namespaces", "-l", OWN, "-o", "jsonpath={.items[*].metadata.name}")
        others = sorted(set(listed.split()) - set(own.split()))
        assert not others, f"delete the pipelines in {', '.join(others)} first, or use another cluster"
