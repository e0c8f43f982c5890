"""One installation for the whole suite: the chart with exactly its Roles; the API server logs every call."""

from collections.abc import Iterator
from typing import Any

import pytest

from testcluster import images, provider
from testcluster.handle import Cluster
from testing import release
from testing.audit import Audit
from testing.helm import template
from testing.install import GATEWAY, OPERATOR
from testing.installation import Credentials, Installation, open_installation, remove
from testing.prometheus import Prometheus, running

NAMESPACE = "e2e"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The test cluster; started if it is not up."""
    return provider.up()


@pytest.fixture(scope="session")
def built(cluster: Cluster) -> dict[str, str]:
    """The images of this checkout, in the cluster."""
    return images.load(cluster, ["operator", "runner", "fake-openmetadata", "postgres"])


@pytest.fixture(scope="session")
def audit(cluster: Cluster) -> Audit:
    """What the API server is asked for from now on: what an earlier suite left is gone."""
    remove(cluster, NAMESPACE)
    return Audit(cluster)


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server that scrapes operator and gateway, whichever pods they have, through the API server."""
    with (
        cluster.proxy() as port,
        running(tmp_path_factory.mktemp("prometheus"), scrape(f"127.0.0.1:{port}"), seconds=2) as server,
    ):
        yield server


def scrape(api_server: str) -> dict[str, Any]:
    """Both Services for metrics, to which no address of this machine leads."""
    services = f"/api/v1/namespaces/{NAMESPACE}/services"
    labels = [
        {"__metrics_path__": f"{services}/{name}:metrics/proxy/metrics", "service": name, "namespace": NAMESPACE}
        for name in (f"{OPERATOR}-metrics", f"{GATEWAY}-metrics")
    ]
    return {"static_configs": [{"targets": [api_server], "labels": one} for one in labels]}


def metrics_services() -> list[dict[str, Any]]:
    """They are the chart's, which has them beside ServiceMonitors, whose CRD this cluster lacks."""
    rendered = template(release.RELEASE, NAMESPACE, "--set", "metrics.serviceMonitor.enabled=true")
    return [body for body in rendered if body["kind"] == "Service" and body["metadata"]["name"].endswith("-metrics")]


@pytest.fixture(scope="session")
def installation(
    cluster: Cluster,
    built: dict[str, str],
    audit: Audit,  # noqa: ARG001  begun before it
    prometheus: Prometheus,  # noqa: ARG001  the same
) -> Iterator[Installation]:
    """A fresh namespace with the release, fake server and database; removed at the end, which must work too."""
    with open_installation(cluster, NAMESPACE, built, Credentials.random(), release.install) as opened:
        opened.apply(*metrics_services())
        yield opened
    remove(cluster, NAMESPACE)
