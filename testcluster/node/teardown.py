"""Removes every trace of a cluster, also of one that never came up or whose tool was killed.

It relies only on names derived from the checkout, not on what the cluster recorded.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from testcluster.commands import environment
from testcluster.errors import TestClusterError
from testcluster.locations import Layout
from testcluster.node import cgroups, network
from testcluster.progress import step

_MOUNT_ROUNDS = 5

# Folders whose place is fixed in the programs themselves, shared with other clusters.
_CONTAINER_LINKS = Path("/var/log/containers")
_NETWORK_RESULTS = Path("/var/lib/cni/results")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def remains(layout: Layout) -> bool:
    """Whether anything of a cluster exists."""
    return (
        layout.root.exists()
        or layout.sockets.exists()
        or network.namespace_path(layout.identifier).exists()
        or any(group.parent.exists() for group in cgroups.component_groups(layout.identifier))
    )


def remove(layout: Layout) -> None:
    """Ends the processes, then removes mounts, network, cgroups and folders. Safe to repeat.

    Raises TestClusterError when a process or a mount cannot be removed; no file is deleted then.
    """
    with step("stopping the cluster"):
        cgroups.kill(layout.identifier)
        _unmount(layout)
        network.delete(layout.identifier)
        cgroups.remove(layout.identifier)
    with step("removing the cluster's files"):
        _tidy_shared_folders(layout)
        for folder in (layout.sockets, layout.root):
            if folder.exists():
                shutil.rmtree(folder)


def mounts(layout: Layout) -> list[str]:
    """Mount points below the cluster's folders, the deepest first."""
    return sorted(_mount_points((layout.root, layout.sockets)), key=len, reverse=True)


def _mount_points(folders: tuple[Path, ...]) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        if any(Path(point).is_relative_to(folder) for folder in folders):
            yield point


def _unmount(layout: Layout) -> None:
    for _ in range(_MOUNT_ROUNDS):  # a mount may hide another one
        points = mounts(layout)
        if not points:
            return
        subprocess.run(["umount", "--lazy", *points], env=environment(), capture_output=True, check=False)
    # Deleting now could reach through a mount into a folder that is not ours.
    raise TestClusterError(f"cannot unmount {mounts(layout)}; nothing was deleted")


def _tidy_shared_folders(layout: Layout) -> None:
    for link in _CONTAINER_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.root):
            link.unlink()
    for result in _NETWORK_RESULTS.glob(f"{layout.identifier}-*"):
        result.unlink()
    if not _another_kubelet_runs():
        for name in ("kubelet.sock", "kubelet_internal_checkpoint"):
            (_DEVICE_PLUGINS / name).unlink(missing_ok=True)
    for folder in (_CONTAINER_LINKS, _NETWORK_RESULTS, _DEVICE_PLUGINS):
        for empty in (folder, folder.parent):
            if empty.is_dir() and not any(empty.iterdir()) and empty != Path("/var/log"):
                empty.rmdir()


def _another_kubelet_runs() -> bool:
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            if name.read_text().strip() == "kubelet":
                return True
        except OSError:
            continue
    return False
