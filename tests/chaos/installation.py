"""Where the rows are played: one installed operator, one double, one database, and the ways to disturb them."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml
from kubernetes import client

from ingestion_operator.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.settings import Settings
from ingestion_operator.system_clock import SystemClock
from tests.chaos import application
from tests.chaos.observer import Observer
from tests.cluster.commands import run
from tests.cluster.errors import CommandError
from tests.cluster.handle import Cluster
from tests.cluster.node.network import API_SERVICE_ADDRESS
from tests.support import manifests
from tests.support.double_client import DoubleClient
from tests.support.installation import OPERATOR
from tests.support.site import Credentials, Site, open_site
from tests.support.waiting import wait_for
from tools import images

NAMESPACE: Final = "chaos"
PENDING_LIMIT: Final = "45s"
"""How long a pod may wait for its start; more than an image that is present ever takes here."""

NODE_LOST_LIMIT: Final = "30s"
"""How long a node may not be heard of; more than a kubelet needs to come back."""

_LIMITS: Final = {"pendingLimit": PENDING_LIMIT, "nodeLostLimit": NODE_LOST_LIMIT}


@dataclass
class ServerFaults:
    """The faults of the double that are in force, of which several rows may have some at once."""

    double: DoubleClient
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _in_force: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @contextmanager
    def during(self, *faults: Mapping[str, Any]) -> Iterator[None]:
        """Keep faults in force until the block ends."""
        own = {id(fault): fault for fault in faults}
        self._change(own, {})
        try:
            yield
        finally:
            self._change({}, own)

    def _change(self, come: Mapping[int, Mapping[str, Any]], go: Mapping[int, Mapping[str, Any]]) -> None:
        with self._lock:
            self._in_force = {key: value for key, value in {**self._in_force, **come}.items() if key not in go}
            self.double.set_faults(*self._in_force.values())


@dataclass(frozen=True)
class Stage:
    """What all rows share."""

    site: Site
    observer: Observer
    service: K8sPipelineServiceClient
    """What OpenMetadata drives, as a library."""
    core: client.CoreV1Api
    server_faults: ServerFaults

    @property
    def bed(self) -> Cluster:
        """The cluster."""
        return self.site.cluster


@contextmanager
def open_stage(bed: Cluster) -> Iterator[Stage]:
    """Install everything into the namespace, which must not be there, and watch it."""
    built = images.load(bed, ["operator", "runner", "double", "postgres"])
    with ExitStack() as stack:
        opened = stack.enter_context(open_site(bed, NAMESPACE, built, Credentials.random(), **_LIMITS))
        # Not by way of the API server, which some rows take away.
        site = replace(opened, double=DoubleClient(f"http://{_node_address(bed)}:{_expose_double(opened)}"))
        wait_for("the double at its node port", lambda: _answers(site.double), timeout=30)
        yield stack.enter_context(open_stage_on(site))


@contextmanager
def open_stage_on(site: Site) -> Iterator[Stage]:
    """Watch a site that is there, and bring what the rows run."""

    def connection() -> client.ApiClient:
        return connect(read_configuration(str(site.cluster.kubeconfig)))

    site.apply(application.config_map())
    site.double.register_service(application.SERVICE, "OpenMetadata", kind="metadata")
    installed = site.kubectl("get", "configmap", f"{OPERATOR}-settings", "-o", "jsonpath={.data.settings\\.yaml}")
    in_force = Settings.model_validate(yaml.safe_load(installed))
    api = connection()
    service = K8sPipelineServiceClient(
        KubernetesCluster(api),
        namespace=site.namespace,
        settings=lambda: in_force,
        clock=SystemClock(),
        logs=KubernetesPodLogs(api),
    )
    with Observer(connection, site.namespace) as observer:
        yield Stage(site, observer, service, client.CoreV1Api(api), ServerFaults(site.double))


def _node_address(bed: Cluster) -> str:
    path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    return bed.kubectl("get", "nodes", "-o", path).strip()


def _expose_double(site: Site) -> str:
    """Return the port of the node at which the double can be reached.

    Pods reach it also while its node is not heard of: OpenMetadata would be on another.
    """
    spec = {"type": "NodePort", "publishNotReadyAddresses": True}
    site.kubectl("patch", "service", manifests.DOUBLE, "--patch", json.dumps({"spec": spec}))
    return site.kubectl("get", "service", manifests.DOUBLE, "-o", "jsonpath={.spec.ports[0].nodePort}").strip()


def _answers(double: DoubleClient) -> bool:
    try:
        return bool(double.health())
    except OSError:
        return False


def api_server_answers(bed: Cluster) -> bool:
    """Tell whether the API server is ready."""
    try:
        return bed.kubectl("get", "--raw", "/readyz", "--request-timeout=2s").strip() == "ok"
    except CommandError:
        return False


def service_is_reachable(bed: Cluster) -> bool:
    """Tell whether the API server answers at the address that pods know; kube-proxy may need 45 s to learn of it."""
    call = f"import socket; socket.create_connection(({API_SERVICE_ADDRESS!r}, 443), 2)"
    try:
        run([*bed.nsenter_prefix(), sys.executable, "-c", call])
    except CommandError:
        return False
    return True
