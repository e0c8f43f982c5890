"""manifests/ as docs/operations/install.md has it, with kubectl alone, on a cluster that knows nothing of ours."""

import yaml

from testcluster.handle import Cluster
from testing.first_run import run_a_pipeline
from testing.install import MANIFESTS, install, install_gateway

NAMESPACE = "install-manifests"


def test_an_empty_cluster_needs_the_overlay_and_the_gateway(
    cluster: Cluster, built: dict[str, str], namespace: str
) -> None:
    settings = yaml.safe_load((MANIFESTS / "settings.yaml").read_text())["data"]["settings.yaml"]
    as_rendered = yaml.safe_load(settings)
    assert as_rendered["runnerImages"].keys() == {"2.0"}
    del as_rendered["runnerImages"]  # but for the image that was built here
    install(cluster, namespace, built, **as_rendered)
    install_gateway(cluster, namespace, built, username="admin", password="secret")
    run_a_pipeline(cluster, namespace, "admin", "secret")
