"""The order in which the node's parts start, and what each one waits for."""

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import Layout
from testcluster.node import control_plane, dns, kubelet, runtime, storage
from testcluster.node.processes import Component, Processes
from testcluster.node.state import State
from testcluster.progress import wait_until

_START_SECONDS = 120.0


def prepare(layout: Layout, state: State) -> None:
    """Writes certificates and configuration of a new cluster."""
    for folder in (layout.logs, layout.pids, layout.config, layout.kubeconfigs):
        folder.mkdir(parents=True)
    layout.root.chmod(0o711)  # pods of any user reach their volumes through it
    layout.sockets.mkdir(mode=0o700)
    control_plane.prepare(layout, state.network, state.binaries)
    dns.prepare(layout, state.network)
    runtime.prepare(layout, state.binaries)
    kubelet.prepare(layout, state.network)
    (layout.root / "kubectl").symlink_to(state.binaries["kubectl"])


def components(layout: Layout, state: State) -> dict[str, Component]:
    """All daemons by name, in the order of their start."""
    binaries = state.binaries
    parts = (
        control_plane.etcd(layout, binaries),
        runtime.containerd(layout, binaries),
        control_plane.api_server(layout, state.network, binaries),
        kubelet.kubelet(layout, state.network, binaries),
        control_plane.controller_manager(layout, binaries),
        control_plane.scheduler(layout, binaries),
        kubelet.kube_proxy(layout, binaries),
        dns.coredns(layout, binaries),
    )
    return {part.name: part for part in parts}


class Startup:
    """Starts what does not run and waits until pods can run."""

    def __init__(self, layout: Layout, state: State, processes: Processes, cluster: Cluster) -> None:
        self._layout = layout
        self._state = state
        self._processes = processes
        self._cluster = cluster
        self._parts = components(layout, state)
        self._begun: list[str] = []

    def is_complete(self) -> bool:
        """Whether there is nothing to start and nothing to wait for."""
        alive = all(self._processes.pid(name) for name in self._parts)
        return alive and self._api_is_ready() and self._dns_is_ready()

    def run(self) -> None:
        """Raises TestClusterError, with the end of the log, when a part ends or is not ready in time."""
        layout, binaries = self._layout, self._state.binaries
        self._begin("etcd", "containerd", "kube-apiserver")
        self._wait("containerd", lambda: runtime.is_ready(layout, binaries))
        if runtime.PAUSE_IMAGE not in runtime.images(layout, binaries):
            runtime.load(layout, binaries, runtime.pause_archive())
        # The controller manager ends when it starts before the API server has made its own roles.
        self._wait("the API server", self._api_is_ready)
        with ThreadPoolExecutor(max_workers=1) as pool:
            objects = pool.submit(self._apply_objects)
            self._begin(*self._parts)
            objects.result()
        self._wait("the node", self._node_is_ready, pause=0.3)
        self._wait("CoreDNS", self._dns_is_ready)

    def _apply_objects(self) -> None:
        control_plane.grant_access(self._layout, self._state.binaries)
        storage.provide(self._layout, self._state.binaries)

    def _begin(self, *names: str) -> None:
        self._begun += [name for name in names if self._processes.start(self._parts[name])]

    def _wait(self, what: str, condition: Callable[[], bool], *, pause: float = 0.1) -> None:
        def holds() -> bool:
            for name in self._begun:
                if self._processes.pid(name) is None:
                    raise TestClusterError(f"{name} has ended. {self._processes.last_words(name)}")
            return condition()

        hint = f"The logs are in {self._layout.logs}"
        wait_until(what, holds, timeout=_START_SECONDS, pause=pause, hint=hint)

    def _api_is_ready(self) -> bool:
        return control_plane.is_ready(self._layout, self._state.network)

    def _node_is_ready(self) -> bool:
        """Ready, and the default namespace has the service account that its pods need."""
        names = (f"node/{control_plane.NODE_NAME}", "serviceaccount/default")
        answer = self._cluster.kubectl("get", "--ignore-not-found", "-o", "json", *names)
        found = json.loads(answer or "{}").get("items", [])
        conditions = [c for item in found for c in item.get("status", {}).get("conditions", [])]
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return ready and len(found) == len(names)

    def _dns_is_ready(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://{self._state.network.node_address}:{dns.READY_PORT}/ready"
        try:
            with direct.open(url, timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False
