"""The single node as a test cluster: up, repaired, down."""

import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from testcluster import binaries, prerequisites
from testcluster.archives import references
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster, ComponentStatus
from testcluster.locations import Layout, exclusive
from testcluster.node import cgroups, network, policies, runtime, startup, teardown
from testcluster.node.processes import Component, Processes
from testcluster.node.state import State, current_boot
from testcluster.progress import show, step


class NodeCluster(Cluster):
    """The node, its processes and its images."""

    def __init__(self, layout: Layout, state: State) -> None:
        super().__init__(layout.kubeconfig, state.binaries["kubectl"])
        self._layout = layout
        self._state = state
        self._processes = Processes(layout, state.network.namespace)
        self._components = startup.components(layout, state)

    def load(self, archive: Path) -> None:
        wanted = references(archive)
        record = self._layout.root / "images.json"
        with exclusive(f"{self._layout.identifier}-images"):
            known = json.loads(record.read_text()) if record.exists() else {}
            present = runtime.images(self._layout, self._state.binaries)
            if all(known.get(tag) == digest and tag in present for tag, digest in wanted.items()):
                return
            runtime.load(self._layout, self._state.binaries, archive)
            record.write_text(json.dumps({**known, **wanted}, indent=2))

    def status(self) -> list[ComponentStatus]:
        parts = []
        for name in self._components:
            pid = self._processes.pid(name)
            detail = f"process {pid}" if pid else f"not running, see {self.log(name)}"
            parts.append(ComponentStatus(name, pid is not None, detail))
        return parts

    def start(self, component: str) -> None:
        self._processes.start(self._component(component))

    def stop(self, component: str, *, kill: bool = False) -> None:
        name = self._component(component).name
        self._processes.stop(name, sig=signal.SIGKILL if kill else signal.SIGTERM)

    @contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        name = self._component(component).name
        self._processes.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes.signal(name, signal.SIGCONT)

    def enforcing_policies(self) -> AbstractContextManager[None]:
        return policies.enforced(self._layout, self._state.network, self._processes)

    def log(self, component: str) -> Path:
        if component == "audit":
            return self._layout.audit_log
        return self._processes.log(self._component(component).name)

    def pid(self, component: str) -> int:
        pid = self._processes.pid(self._component(component).name)
        if pid is None:
            raise TestClusterError(f"{component} does not run, see {self.log(component)}")
        return pid

    def nsenter_prefix(self) -> list[str]:
        return ["nsenter", f"--net={self._state.network.namespace}", "--"]

    def is_complete(self) -> bool:
        """Whether every component runs and the cluster can be used."""
        return self._startup().is_complete()

    def bring_up(self) -> None:
        """Starts what does not run; returns when pods can run."""
        self._startup().run()

    def _startup(self) -> startup.Startup:
        return startup.Startup(self._layout, self._state, self._processes, self)

    def _component(self, name: str) -> Component:
        if name not in self._components:
            known = ", ".join(self._components)
            raise TestClusterError(f"there is no component {name!r}; there are: {known}")
        return self._components[name]


def find(layout: Layout) -> NodeCluster | None:
    """The checkout's node if it runs at least in parts, None otherwise."""
    state = State.read(layout)
    return NodeCluster(layout, state) if state and state.is_usable() else None


def up(layout: Layout) -> NodeCluster:
    """A complete node: found as it is, repaired, or made.

    Raises TestClusterError when the machine lacks something or a part does not start.
    """
    with exclusive(layout.identifier):
        node = find(layout)
        if node and node.is_complete():
            return node
        if node:
            show("the cluster is not complete: starting what is missing")
        else:
            node = _create(layout)
        with step("starting the cluster"):
            node.bring_up()
        return node


def down(layout: Layout) -> bool:
    """Removes everything of the checkout's node. Returns whether there was anything."""
    with exclusive(layout.identifier):
        if not teardown.remains(layout):
            return False
        teardown.remove(layout)
        return True


def _create(layout: Layout) -> NodeCluster:
    layout.check()
    prerequisites.check(prerequisites.CLUSTER, go=not binaries.are_built())
    programs = binaries.ensure()
    if teardown.remains(layout):
        show("an earlier cluster did not survive: removing what is left of it")
        teardown.remove(layout)
    state = State(current_boot(), network.choose(layout.identifier), programs)
    cgroups.create(layout.identifier)
    network.create(state.network)
    startup.prepare(layout, state)
    state.write(layout)
    return NodeCluster(layout, state)
