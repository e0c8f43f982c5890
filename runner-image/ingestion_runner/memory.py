"""The kernel's data about memory: out-of-memory kills, and the peak memory of a process."""

import resource
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def memory_limit_note(cgroup: Path = _CGROUP) -> str:
    """Return a clause with the memory limit and whether the kernel counted an out-of-memory kill.

    It is based on the container's cgroup v2 files. Without them the clause only states the likely cause.
    """
    limit = _read(cgroup / "memory.max")
    within = f" within {int(limit) // 2**20} MiB" if limit and limit.isdigit() else ""
    kills = next(
        (line.split()[1] for line in _read(cgroup / "memory.events").splitlines() if line.startswith("oom_kill ")),
        "",
    )
    if kills.isdigit() and int(kills):
        return f": the kernel found no memory for it{within}"
    if kills == "0":
        return f" by a process in the pod or on the node; the kernel counted no out-of-memory kill{within}"
    return f", most likely because it found no memory{within}"


def peak_memory_of_children() -> int | None:
    """Return the largest resident memory of an ended child process, in bytes, or None without one."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 or None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
