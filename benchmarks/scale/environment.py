"""One namespace with operator and gateway as processes, each with its own account and Role, seen from outside."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from kubernetes import client

from benchmarks.scale.audit import AuditLog
from benchmarks.scale.observed import Observed
from benchmarks.scale.relay import Relay
from benchmarks.scale.subject import Subject
from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.api.settings import Settings
from testcluster.handle import Cluster
from testing.gateway_process import write_account_kubeconfig

OPERATOR: Final = "ingestion-operator"
SETTINGS: Final = {
    "runnerImages": {"2.0": {"image": "localhost/none:1", "version": "2.0.6.0"}},
    "defaultServerVersion": "2.0",
    # A run is to be started, not to run: its pod fits no node.
    "podTemplate": {"spec": {"nodeSelector": {"ingestion.openmetadata.org/benchmark": "nowhere"}}},
    "startTimeout": "1h",
}
_POOL: Final = 16


@dataclass
class Environment:
    """Where the figures of one number of pipelines are taken."""

    cluster: Cluster
    subject: Subject
    namespace: str
    folder: Path
    settings_path: Path
    operator_kubeconfig: Path
    kube: KubernetesCluster
    pipelines: Observed
    """For each pipeline the generation that is Ready, 0 while it is not."""
    active: Observed
    """For each pipeline how many of its runs are active."""
    cronjobs: Observed
    """For each CronJob its schedule."""
    jobs: Observed
    """For each Job when it was created."""
    pods: Observed
    """For each pod that waits, as those of the stampede do, its Job."""
    audit: AuditLog
    relay: Relay
    settings: Settings = field(default_factory=lambda: Settings.model_validate(SETTINGS))


def watching_client(cluster: Cluster) -> client.ApiClient:
    """Return an administrator's client with connections for the benchmark's own watches."""
    return connect(read_configuration(str(cluster.kubeconfig)), pool_size=5)


@contextmanager
def open_environment(cluster: Cluster, namespace: str, subject: Subject) -> Iterator[Environment]:
    """Make the namespace and everything but the pipelines; the namespace is left for its caller to remove."""
    cluster.kubectl("create", "namespace", namespace)
    administrator = str(cluster.kubeconfig)
    watching = watching_client(cluster)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings_path = folder / "settings.yaml"
        settings_path.write_text(yaml.safe_dump(SETTINGS))
        account = write_account_kubeconfig(
            cluster, namespace, folder / "kubeconfig", manifest=subject.manifest("rbac.yaml"), account=OPERATOR
        )
        address = urlsplit(yaml.safe_load(account.read_text())["clusters"][0]["cluster"]["server"])
        with (
            Relay(address.hostname or "127.0.0.1", address.port or 443) as relay,
            Observed(watching, _path(namespace, constants.API_VERSION, constants.PLURAL), _ready_generation) as seen,
            Observed(watching, _path(namespace, constants.API_VERSION, constants.PLURAL), _active) as active,
            Observed(watching, _path(namespace, "batch/v1", "cronjobs"), _schedule) as cronjobs,
            Observed(watching, _path(namespace, "batch/v1", "jobs"), _created) as jobs,
            Observed(watching, f"/api/v1/namespaces/{namespace}/pods", _job, fields="status.phase=Pending") as pods,
        ):
            yield Environment(
                cluster=cluster,
                subject=subject,
                namespace=namespace,
                folder=folder,
                settings_path=settings_path,
                operator_kubeconfig=_through(account, relay.port),
                kube=KubernetesCluster(connect(read_configuration(administrator), pool_size=_POOL)),
                pipelines=seen,
                active=active,
                cronjobs=cronjobs,
                jobs=jobs,
                pods=pods,
                audit=AuditLog(cluster.log("audit"), f"system:serviceaccount:{namespace}:{OPERATOR}"),
                relay=relay,
            )


def _through(kubeconfig: Path, port: int) -> Path:
    """The same kubeconfig by way of the relay; the API server's certificate is good for 127.0.0.1 too."""
    content = yaml.safe_load(kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path = kubeconfig.with_name(f"{kubeconfig.name}-through-relay")
    path.write_text(yaml.safe_dump(content))
    return path


def _path(namespace: str, api_version: str, plural: str) -> str:
    return f"/apis/{api_version}/namespaces/{namespace}/{plural}"


def _ready_generation(body: dict[str, Any]) -> int:
    for condition in body.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return int(condition["observedGeneration"])
    return 0


def _active(body: dict[str, Any]) -> int:
    return len(body.get("status", {}).get("activeRuns", [])) + len(body.get("status", {}).get("queuedRuns", []))


def _schedule(body: dict[str, Any]) -> str:
    return str(body["spec"]["schedule"])


def _created(body: dict[str, Any]) -> str:
    return str(body["metadata"]["creationTimestamp"])


def _job(body: dict[str, Any]) -> str:
    return str(body["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name", ""))
