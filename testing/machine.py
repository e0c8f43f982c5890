"""What the figures were measured on."""

import json
import os
import platform
from pathlib import Path

from testcluster.commands import run
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT

Facts = dict[str, str | int | float | bool]


def facts(cluster: Cluster) -> Facts:
    """Return cores, memory, versions, what else the machine does, and the commit that is measured."""
    versions = json.loads(cluster.kubectl("version", "-o", "json"))
    return {
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "cpu": _cpu(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kubernetes": versions["serverVersion"]["gitVersion"],
        "commit": run(["git", "-C", CHECKOUT, "rev-parse", "--short", "HEAD"]).strip(),
        "commit_is_clean": not run(["git", "-C", CHECKOUT, "status", "--porcelain"]).strip(),
    }


def described(machine: Facts) -> str:
    """Return the machine in the words of the documentation."""
    return (
        f"on {machine['cores']} cores and {machine['memory_gib']} GiB, Kubernetes {machine['kubernetes']}, "
        f"load {machine['load_before']} before the start"
    )


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
