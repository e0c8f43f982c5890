"""The cluster's own cgroups, in every hierarchy of cgroup v1 or in the one of v2.

    <identifier>/components   the daemons: out of the caller's group, whose limits and end they escape
    <identifier>/node         the kubelet's root for pods

The kernel keeps the list of processes in a group, so that it is also how ``down`` finds every one
of them, whatever happened to the files with their ids.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from testcluster.errors import TestClusterError

_MOUNT = Path("/sys/fs/cgroup")
_COMPONENTS = "components"
_NODE = "node"


def _is_v2() -> bool:
    return (_MOUNT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    if _is_v2():
        return [_MOUNT]
    groups = [path for path in _MOUNT.iterdir() if (path / "cgroup.procs").exists()]
    return sorted({path.resolve() for path in groups})  # cpu and cpuacct may be links to one


def node_root(identifier: str) -> str:
    """The kubelet's cgroupRoot."""
    return f"/{identifier}/{_NODE}"


def create(identifier: str) -> None:
    """Makes both groups in every hierarchy; what exists stays."""
    for hierarchy in _hierarchies():
        group = hierarchy / identifier
        (group / _NODE).mkdir(parents=True, exist_ok=True)
        (group / _COMPONENTS).mkdir(exist_ok=True)
        if _is_v2():
            controllers = (_MOUNT / "cgroup.controllers").read_text().split()
            wanted = " ".join(f"+{name}" for name in controllers)
            for parent in (hierarchy, group):
                (parent / "cgroup.subtree_control").write_text(wanted)
        if (group / "cpuset.cpus").exists() and not _is_v2():
            # A new v1 cpuset is empty, and no process may enter an empty one.
            for child in (group, group / _NODE, group / _COMPONENTS):
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (child / name).write_text((child.parent / name).read_text())


def component_groups(identifier: str) -> list[Path]:
    """The folders whose cgroup.procs a daemon writes itself into."""
    return [hierarchy / identifier / _COMPONENTS for hierarchy in _hierarchies()]


def _groups(identifier: str) -> Iterator[Path]:
    """Every group of the cluster, children before their parents."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / identifier, topdown=False):
            yield Path(folder)


def processes(identifier: str) -> set[int]:
    """The ids of all processes of the cluster: daemons, shims and containers."""
    found: set[int] = set()
    for group in _groups(identifier):
        try:
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
        except FileNotFoundError:
            continue  # the group ended while we looked
    return found - {os.getpid()}


def kill(identifier: str, *, timeout: float = 20) -> None:
    """Ends every process of the cluster. Raises TestClusterError if some survive SIGKILL."""
    deadline = time.monotonic() + timeout
    while left := processes(identifier):
        if time.monotonic() > deadline:
            raise TestClusterError(f"processes {sorted(left)} do not end; list them with ps")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)  # a child of ours would stay as a zombie
            except (ProcessLookupError, ChildProcessError):
                continue
        time.sleep(0.05)


def remove(identifier: str) -> None:
    """Removes the groups; they must be empty of processes."""
    for group in _groups(identifier):
        group.rmdir()
