"""What all cases share, and installations of their own for those that disturb an operator.

An operator of a case's own takes the fault proxy for the API server: the variables that name the API server to every
pod name the proxy instead, whose certificate the cluster has signed. All else is as in production: the chart's
Deployment, process 1 of its container, the service account's token.
"""

import json
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from testcluster import images
from testcluster.commands import run
from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testcluster.node.network import API_SERVICE_ADDRESS
from testing import helm, manifests
from testing import installation as installations
from testing.fake_openmetadata_client import FakeServerClient
from testing.fault_proxy import FaultProxy
from testing.install import OPERATOR, apply, settings, wait_for_rollout
from testing.installation import OWN, Credentials, Installation, open_installation
from testing.release import RELEASE, built_images
from tests.scenarios.faults import certificate
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.target import (
    LIMITS,
    FaultTarget,
    ServerFaults,
    expose,
    open_target,
    wait_for_fake_server,
)

NAMESPACE: Final = "chaos"
_LABEL: Final = "chaos"
_RESTRICTED: Final = {OWN: _LABEL, "pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Environment:
    """The cluster, the installation that most cases share, and what a further one needs."""

    shared: FaultTarget
    address: str
    """Of this machine, as pods reach it."""
    tls: ssl.SSLContext

    @contextmanager
    def target(self, case: Case, number: int) -> Iterator[FaultTarget]:
        """Return where a case runs: the shared target, or one of its own, which is removed after the block."""
        if case.place != "own":
            yield self.shared
            return
        shared, namespace = self.shared.installation, f"{NAMESPACE}-{case.name}-{number}"
        watched = [f"{namespace}-{suffix}" for suffix in case.setup.watched]
        with ExitStack() as stack:
            proxy = stack.enter_context(FaultProxy(shared.cluster.kubeconfig, address=self.address, tls=self.tls))
            stack.enter_context(_volume(shared.cluster, namespace))
            stack.callback(_delete, shared.cluster, [namespace, *watched])
            for name in (namespace, *watched):
                prepare_namespace(replace(shared, namespace=name))
            _install(shared.cluster, namespace, self._values(case, namespace, watched, proxy))
            installation = replace(shared, namespace=watched[-1] if watched else namespace)
            yield stack.enter_context(
                open_target(
                    installation,
                    operator_namespace=namespace,
                    server_faults=self.shared.server_faults,
                    server=f"http://{manifests.FAKE_OPENMETADATA}.{NAMESPACE}:{manifests.FAKE_OPENMETADATA_PORT}/api",
                    proxy=proxy,
                )
            )

    def _values(self, case: Case, namespace: str, watched: list[str], proxy: FaultProxy) -> dict[str, Any]:
        in_force = settings(self.shared.installation.images["runner"], **LIMITS, **case.setup.settings)
        del in_force["logArchive"]  # the chart has its own
        variables = {"KUBERNETES_SERVICE_HOST": self.address, "KUBERNETES_SERVICE_PORT": str(proxy.port)}
        volume = {"type": "volume", "volume": {"keep": False, "storageClassName": namespace}}
        return {
            "image": built_images(self.shared.installation.images),
            "settings": in_force,
            "gateway": {"enabled": False},
            "crds": {"enabled": False},
            "watch": {"scope": "namespaces", "namespaces": watched} if watched else {"scope": "namespace"},
            "operator": {
                "replicas": case.setup.replicas,
                "extraEnv": [{"name": name, "value": value} for name, value in variables.items()],
            },
            "logArchive": volume if case.setup.replicas == 1 else {"type": "none"},  # it can be on one node only
        }


@contextmanager
def open_environment(cluster: Cluster) -> Iterator[Environment]:
    """Install everything into the namespace, which must not be there, and observe it."""
    built = images.load(cluster, ["operator", "runner", "fake-openmetadata", "postgres"])
    node = node_address(cluster)
    address = own_address(node)
    with ExitStack() as stack:
        opened = stack.enter_context(open_installation(cluster, NAMESPACE, built, Credentials.random(), **LIMITS))
        # Not by way of the API server, which some cases take away.
        installation = replace(
            opened, fake_server=FakeServerClient(f"http://{node}:{expose(opened, manifests.FAKE_OPENMETADATA)}")
        )
        wait_for_fake_server(installation.fake_server)
        shared = stack.enter_context(open_target(installation, server_faults=ServerFaults(installation.fake_server)))
        yield Environment(shared, address, certificate.server_context(cluster, address))


def prepare_namespace(installation: Installation) -> None:
    """Make a namespace in which pipelines can be Ready: with the token of the fake OpenMetadata server."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": installation.namespace, "labels": _RESTRICTED},
    }
    apply(installation.cluster, namespace)
    name, key = installations.TOKEN_SECRET["name"], installations.TOKEN_SECRET["key"]
    installation.apply(installations.secret(name, key, installation.credentials.token))


def remove_leftovers(cluster: Cluster) -> None:
    """Delete what an earlier round has left."""
    for kind in ("namespace", "pv"):
        cluster.kubectl("delete", kind, "-l", f"{OWN}={_LABEL}", "--ignore-not-found", "--timeout=90s", timeout=100)
    installations.remove(cluster, NAMESPACE)


def _install(cluster: Cluster, namespace: str, values: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "values.json")
        file.write_text(json.dumps(values))
        objects = helm.template(RELEASE, namespace, "--values", str(file))
    apply(cluster, *(with_namespace(body, namespace) for body in objects))
    wait_for_rollout(cluster, namespace, OPERATOR)


@contextmanager
def _volume(cluster: Cluster, name: str) -> Iterator[None]:
    """Offer a volume for the log archive until the block ends: those of the test cluster are few, and used once."""
    with TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)  # the kubelet does not give a hostPath to a pod's fsGroup
        spec = {
            "storageClassName": name,
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": folder},
        }
        metadata = {"name": name, "labels": {OWN: _LABEL}}
        apply(cluster, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
        try:
            yield
        finally:
            cluster.kubectl("delete", "pv", name, "--wait=false")


def with_namespace(body: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return an object of a release with the namespace that Helm would give it."""
    return {**body, "metadata": {"namespace": namespace, **body["metadata"]}}


def _delete(cluster: Cluster, namespaces: list[str]) -> None:
    cluster.kubectl("delete", "namespace", *namespaces, "--ignore-not-found", "--wait=false")


def node_address(cluster: Cluster) -> str:
    """Return the address of the node."""
    path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    return cluster.kubectl("get", "nodes", "-o", path).strip()


def own_address(node: str) -> str:
    """Return the address of this machine on the way to the node, which its pods reach too. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))
        return str(probe.getsockname()[0])


def api_server_answers(cluster: Cluster) -> bool:
    """Return whether the API server is ready."""
    try:
        return cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=2s").strip() == "ok"
    except CommandError:
        return False


def service_is_reachable(cluster: Cluster) -> bool:
    """Return whether the API server answers at the address that pods know; kube-proxy may need 45 s to learn of it."""
    call = f"import socket; socket.create_connection(({API_SERVICE_ADDRESS!r}, 443), 2)"
    try:
        run([*cluster.nsenter_prefix(), sys.executable, "-c", call])
    except CommandError:
        return False
    return True
