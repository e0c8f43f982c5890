"""A cluster in Docker, made by kind."""

from pathlib import Path

from testcluster import binaries, commands
from testcluster.errors import CommandError, TestClusterError
from testcluster.handle import Cluster, ComponentStatus
from testcluster.locations import Layout, exclusive
from testcluster.progress import step

_INSTALL = "go install sigs.k8s.io/kind@latest"


def docker_runs() -> bool:
    """Whether a Docker engine answers; a client alone does not count."""
    return commands.find("docker") is not None and commands.succeeds(["docker", "info"])


class KindCluster(Cluster):
    """One node in one container."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.kubeconfig, binaries.ensure_kubectl())
        self._name = layout.identifier

    def load(self, archive: Path) -> None:
        with step(f"loading {archive.name}"):
            commands.run(["kind", "load", "image-archive", str(archive), "--name", self._name], timeout=900)

    def status(self) -> list[ComponentStatus]:
        container = f"{self._name}-control-plane"
        query = ["docker", "inspect", "--format", "{{.State.Status}}", container]
        try:
            state = commands.run(query).strip()
        except CommandError as problem:
            return [ComponentStatus(container, False, problem.stderr.strip())]
        return [ComponentStatus(container, state == "running", state)]


def find(layout: Layout) -> KindCluster | None:
    """The checkout's kind cluster, None when there is none."""
    return KindCluster(layout) if layout.identifier in _clusters() else None


def up(layout: Layout) -> KindCluster:
    """The checkout's kind cluster, made if needed. Raises TestClusterError without kind."""
    if commands.find("kind") is None:
        raise TestClusterError(f"Docker runs here, but kind is not installed; run: {_INSTALL}")
    with exclusive(layout.identifier):
        found = find(layout)
        if found is not None and all(part.running for part in found.status()):
            return found
        if found is not None:
            _delete(layout)
        layout.root.mkdir(exist_ok=True)
        create = ["kind", "create", "cluster", "--name", layout.identifier, "--wait", "180s"]
        with step("creating a kind cluster"):
            commands.run([*create, "--kubeconfig", str(layout.kubeconfig)], timeout=900)
        return KindCluster(layout)


def down(layout: Layout) -> bool:
    """Deletes the checkout's kind cluster. Returns whether there was one."""
    with exclusive(layout.identifier):
        if layout.identifier not in _clusters():
            return False
        _delete(layout)
        layout.kubeconfig.unlink(missing_ok=True)
        if layout.root.is_dir() and not any(layout.root.iterdir()):
            layout.root.rmdir()
        return True


def _delete(layout: Layout) -> None:
    command = ["kind", "delete", "cluster", "--name", layout.identifier]
    commands.run([*command, "--kubeconfig", str(layout.kubeconfig)], timeout=300)


def _clusters() -> list[str]:
    if commands.find("kind") is None or not docker_runs():
        return []
    return commands.run(["kind", "get", "clusters"]).split()
