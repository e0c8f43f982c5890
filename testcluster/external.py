"""An external cluster, named by INGESTION_OPERATOR_KUBECONFIG."""

import os
from pathlib import Path

from testcluster import binaries
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster, ComponentStatus

VARIABLE = "INGESTION_OPERATOR_KUBECONFIG"


class ExternalCluster(Cluster):
    """It is only used: neither started, nor stopped, nor given images."""

    def load(self, archive: Path) -> None:
        raise TestClusterError(
            f"{archive.name} cannot be loaded into a cluster named by {VARIABLE}: push the image to "
            "a registry that its nodes can pull from, or unset the variable"
        )

    def status(self) -> list[ComponentStatus]:
        try:
            version = self.kubectl("version", "-o", "yaml", timeout=20)
        except TestClusterError as problem:
            return [ComponentStatus("API server", False, str(problem).splitlines()[-1])]
        served = version.partition("serverVersion:")[2]
        line = next((word for word in served.splitlines() if "gitVersion" in word), "")
        return [ComponentStatus("API server", True, line.strip())]


def find() -> ExternalCluster | None:
    """The cluster that the variable names, None without the variable."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise TestClusterError(f"{VARIABLE} names {path}, which is not a file")
    return ExternalCluster(path, binaries.ensure_kubectl())


def up() -> ExternalCluster | None:
    """The cluster that the variable names, if it answers; None without the variable."""
    cluster = find()
    if cluster is not None:
        cluster.kubectl("get", "--raw", "/readyz", timeout=30)
    return cluster
