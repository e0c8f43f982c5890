"""One installed operator in its namespace, with what the cases need to observe and to disturb it."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import client

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.adapters.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.settings import Settings
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from testcluster.handle import Cluster
from testing.fake_openmetadata_client import FakeServerClient
from testing.fault_proxy import FaultProxy
from testing.install import OPERATOR
from testing.installation import Installation
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.observer import Observer

PENDING_LIMIT: Final = "45s"
"""How long a pod may wait for its start; more than an image that is present ever takes here."""

NODE_LOST_LIMIT: Final = "30s"
"""How long a node may be silent; more than a kubelet needs to come back."""

LIMITS: Final = {"startTimeout": PENDING_LIMIT, "nodeLostTimeout": NODE_LOST_LIMIT}
SELECTOR: Final = f"app.kubernetes.io/name={OPERATOR}"


@dataclass
class ServerFaults:
    """The faults of the fake OpenMetadata server that are in force, of which several cases may have some at once."""

    fake_server: FakeServerClient
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
            left = self.fake_server.faults() if self._in_force else []
            for (key, fault), known in zip(list(self._in_force.items()), left, strict=True):
                self._in_force[key] = {**fault, "times": known["times"]}
            self._in_force = {key: value for key, value in {**self._in_force, **come}.items() if key not in go}
            self.fake_server.set_faults(*self._in_force.values())


@dataclass(frozen=True)
class FaultTarget:
    """An operator and what belongs to it."""

    installation: Installation
    """Of the namespace in which the cases' pipelines are; the operator may be in another."""
    operator_namespace: str
    observer: Observer
    service: K8sPipelineServiceClient
    """What OpenMetadata drives, as a library."""
    core: client.CoreV1Api
    custom: client.CustomObjectsApi
    server_faults: ServerFaults
    server: str | None = None
    """hostPort of the fake OpenMetadata server; None: the short name, as in its own namespace."""
    api_proxy: FaultProxy | None = None
    """What the operator takes for the API server; None: it calls the API server itself."""

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        return self.installation.cluster

    @property
    def proxy(self) -> FaultProxy:
        """The proxy. Raises AssertionError on the shared target, which has none."""
        assert self.api_proxy is not None, "only an installation of its own has a proxy"
        return self.api_proxy

    def in_namespace(self, suffix: str) -> Installation:
        """Return the installation of another namespace that the operator watches."""
        installation = self.installation
        return Installation(
            installation.cluster,
            f"{self.operator_namespace}-{suffix}",
            installation.fake_server,
            installation.credentials,
            installation.images,
        )

    def operators(self) -> list[dict[str, Any]]:
        """Return the operator's pods."""
        answer = self.core.list_namespaced_pod(self.operator_namespace, label_selector=SELECTOR)
        return list(self.core.api_client.sanitize_for_serialization(answer)["items"])

    def restarts(self) -> int:
        """Return how often containers of the operator's pods have started again."""
        return sum(int(status["restartCount"]) for status in self._containers())

    def _containers(self) -> list[dict[str, Any]]:
        return [status for pod in self.operators() for status in pod["status"].get("containerStatuses", [])]

    def leader(self) -> str:
        """Return the name of the pod that holds the Lease; empty where none does."""
        answer = self.cluster.kubectl(
            "-n", self.operator_namespace, "get", "lease", constants.LEASE_NAME, "--ignore-not-found",
            "-o", "jsonpath={.spec.holderIdentity}",
        )  # fmt: skip
        names = [str(pod["metadata"]["name"]) for pod in self.operators()]
        return next((name for name in names if name in answer), "")

    def condition(self, namespace: str, pipeline: str, kind: str) -> dict[str, Any]:
        """Return a condition of a pipeline as it is now, empty if there is none."""
        body: Any = self.custom.get_namespaced_custom_object(
            constants.GROUP, constants.VERSION, namespace, constants.PLURAL, pipeline
        )
        found = (one for one in body.get("status", {}).get("conditions", []) if one["type"] == kind)
        return next(found, {}) | {"generation": body["metadata"]["generation"]}

    def is_ready(self, namespace: str, pipeline: str) -> bool:
        """Return whether the pipeline is Ready with the spec that it has now."""
        ready = self.condition(namespace, pipeline, "Ready")
        return ready.get("status") == "True" and ready.get("observedGeneration") == ready["generation"]

    def signal_operators(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to process 1 of each of the operator's containers, from the machine that runs the node."""
        for status in self._containers():
            if "running" in status["state"]:
                os.kill(first_process(status["containerID"].rpartition("/")[2]), number)


def first_process(container: str, processes: Path = Path("/proc")) -> int:
    """Return this machine's number of the process that is number 1 in a container. Raises AssertionError."""
    for folder in processes.iterdir():
        try:
            if folder.name.isdigit() and container in (folder / "cgroup").read_text():
                numbers = next(line for line in (folder / "status").read_text().splitlines() if "NSpid" in line)
                if numbers.split()[-1] == "1":
                    return int(folder.name)
        except OSError:
            continue  # it has ended meanwhile
    raise AssertionError(f"no process of container {container} runs on this machine")


@contextmanager
def open_target(
    installation: Installation,
    *,
    operator_namespace: str = "",
    server_faults: ServerFaults | None = None,
    server: str | None = None,
    proxy: FaultProxy | None = None,
) -> Iterator[FaultTarget]:
    """Observe an operator that is there, and bring what the cases' runs need."""

    def connection() -> client.ApiClient:
        return connect(read_configuration(str(installation.cluster.kubeconfig)))

    namespace = operator_namespace or installation.namespace
    installation.apply(application.config_map(), application.light_config_map())
    installation.fake_server.register_service(application.SERVICE, "OpenMetadata", kind="metadata")
    api = connection()
    with ExitStack() as stack:
        yield FaultTarget(
            installation=installation,
            operator_namespace=namespace,
            observer=stack.enter_context(Observer(connection, installation.namespace)),
            service=_service(installation, namespace, api),
            core=client.CoreV1Api(api),
            custom=client.CustomObjectsApi(api),
            server_faults=server_faults or ServerFaults(installation.fake_server),
            server=server,
            api_proxy=proxy,
        )


def _service(installation: Installation, operator_namespace: str, api: client.ApiClient) -> K8sPipelineServiceClient:
    path = "jsonpath={.data.settings\\.yaml}"
    text = installation.cluster.kubectl(
        "-n", operator_namespace, "get", "configmap", f"{OPERATOR}-settings", "-o", path
    )
    in_force = Settings.model_validate(yaml.safe_load(text))
    return K8sPipelineServiceClient(
        KubernetesCluster(api),
        namespace=installation.namespace,
        settings=lambda: in_force,
        clock=SystemClock(),
        logs=KubernetesPodLogs(api),
    )


def wait_for_fake_server(fake_server: FakeServerClient) -> None:
    """Return once the fake OpenMetadata server answers."""

    def answers() -> bool:
        try:
            return bool(fake_server.health())
        except OSError:
            return False

    wait_for("the fake OpenMetadata server at its node port", answers, timeout=30)


def expose(installation: Installation, service: str) -> int:
    """Return the port of the node at which a Service can be reached.

    Pods reach it also while their node is not ready: OpenMetadata would be on another.
    """
    spec = {"type": "NodePort", "publishNotReadyAddresses": True}
    installation.kubectl("patch", "service", service, "--patch", json.dumps({"spec": spec}))
    return int(installation.kubectl("get", "service", service, "-o", "jsonpath={.spec.ports[0].nodePort}"))
