"""This checkout's chart, installed on the test cluster, with the gateway behind a node port."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.side_by_side import contender
from benchmarks.side_by_side.footprint import Groups, in_cgroup, in_network, megabytes, processes
from ingestion_operator import constants
from ingestion_operator.pipeline_service.names import resource_name
from testcluster import binaries
from testcluster.handle import Cluster
from testcluster.locations import cache, layout
from testcluster.progress import step
from testing import manifests, release
from testing.fake_openmetadata_client import FakeServerClient
from testing.install import GATEWAY, OPERATOR, wait_for_rollout
from testing.installation import Credentials, Installation, open_installation, remove
from testing.waiting import wait_for

NAMESPACE: Final = "bench-side-by-side"
IMAGES: Final = ("operator", "runner", "fake-openmetadata", "postgres")
_DEPLOYMENTS: Final = (OPERATOR, GATEWAY)
_START_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.1
_PROGRAMS: Final = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns",
    "containerd", "containerd-shim-runc-v2", "runc", "bridge", "loopback", "host-local", "portmap",
)  # fmt: skip
"""What a node of the test cluster runs."""

_SUPERVISOR: Final = "containerd-shim-runc-v2"
"""One for each pod."""


@dataclass
class Ours:
    """A contender; see `open_ours`."""

    installation: Installation
    host: str
    port: int

    @property
    def fake_server(self) -> FakeServerClient:
        return self.installation.fake_server

    def server(self) -> contender.Client:
        return contender.Client.new(self.port, host=self.host, username=release.USERNAME, password=release.PASSWORD)

    def entity(self, name: str) -> contender.Body:
        host_port = f"http://{manifests.FAKE_OPENMETADATA}:{manifests.FAKE_OPENMETADATA_PORT}/api"
        return contender.entity(self.fake_server, name, host_port, self.installation.credentials.token)

    def cold_start(self) -> float:
        self.stop()
        begin = time.monotonic()
        self._scale(1)
        with step("starting operator and gateway"):
            while not contender.is_healthy(self.host, self.port):
                if time.monotonic() > begin + _START_SECONDS:
                    raise AssertionError(f"the gateway is not healthy {_START_SECONDS} s after its start")
                time.sleep(_POLL_SECONDS)
        return time.monotonic() - begin

    def stop(self) -> None:
        """End operator and gateway; no heartbeat is written any more."""
        self._scale(0)
        wait_for("the end of operator and gateway", lambda: not any(self._pods().values()), timeout=_START_SECONDS)
        self.installation.kubectl("delete", "lease", constants.LEASE_NAME, "--ignore-not-found")

    def settle(self) -> None:
        """A deploy is over when it is answered, but for the operator's reconciliation of the new pipeline."""

        def all_seen() -> bool:
            listed = self.installation.list(constants.PLURAL)
            return all(body.get("status", {}).get("cronJobName") for body in listed)

        wait_for("the operator to have reconciled all pipelines", all_seen, timeout=_START_SECONDS)

    def own(self) -> Groups:
        return {name: {pid for uid in uids for pid in in_cgroup(uid)} for name, uids in self._pods().items()}

    def platform(self) -> Groups:
        """All of Kubernetes; without the supervisors of the fake server and the database."""
        stats = processes()
        ours = {stats[pid].parent for pids in self.own().values() for pid in pids if pid in stats}
        node = in_network(self.installation.cluster.nsenter_prefix()[1].partition("=")[2])
        found: dict[str, set[int]] = defaultdict(set)
        for pid in node:
            program = Path(command_of(pid).partition("\0")[0]).name
            if program in _PROGRAMS and (program != _SUPERVISOR or pid in ours):
                found[program].add(pid)
        return found

    def run_processes(self, name: str) -> set[int]:
        """Those of the runner's container; not the one that holds the pod's network."""
        selector = f"{constants.LABEL_PIPELINE}={resource_name(name)}"
        uids = [pod["metadata"]["uid"] for pod in self.installation.list("pods", selector)]
        return {pid for uid in uids for pid in runner_processes(uid)}

    def disk(self) -> tuple[float, float]:
        images = sum(image_megabytes(name, self.installation.images[name]) for name in ("operator", "runner"))
        return images, images + kubernetes_megabytes()

    def _scale(self, replicas: int) -> None:
        self.installation.kubectl("scale", "deployment", *_DEPLOYMENTS, f"--replicas={replicas}")

    def _pods(self) -> Mapping[str, list[str]]:
        """The UIDs of the pods of operator and gateway."""
        names = {name: f"app.kubernetes.io/name={name}" for name in _DEPLOYMENTS}
        return {
            name: [pod["metadata"]["uid"] for pod in self.installation.list("pods", selector)]
            for name, selector in names.items()
        }


def runner_processes(uid: str) -> set[int]:
    """The processes of the runner in a pod."""
    return {pid for pid in in_cgroup(uid) if "ingestion_runner" in command_of(pid)}


def command_of(pid: int) -> str:
    """The command line of a process, its words separated by NUL; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def image_megabytes(name: str, reference: str) -> float:
    """The image's layers, not compressed, in MB."""
    return (cache() / "images" / f"{name}-{reference.rpartition(':')[2]}.tar").stat().st_size / 1e6


def kubernetes_megabytes() -> float:
    """The programs of the test cluster's node, and its database, in MB."""
    built = binaries.ensure()
    return megabytes(*(Path(built[program]) for program in _PROGRAMS), layout().root / "etcd")


@contextmanager
def open_ours(cluster: Cluster, images: dict[str, str]) -> Iterator[Ours]:
    """Install everything into a namespace of its own, and remove it at the end."""
    remove(cluster, NAMESPACE)
    try:
        with open_installation(cluster, NAMESPACE, images, Credentials.random(), release.install) as installation:
            wait_for_rollout(cluster, NAMESPACE, manifests.POSTGRES)
            # Any port that is free; the API server chooses.
            installation.kubectl(
                "patch", "service", GATEWAY, "--type=merge", "--patch", '{"spec": {"type": "NodePort"}}'
            )
            service = installation.get("service", GATEWAY) or {}
            (node,) = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
            addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
            yield Ours(installation, addresses["InternalIP"], service["spec"]["ports"][0]["nodePort"])
    finally:
        remove(cluster, NAMESPACE)
