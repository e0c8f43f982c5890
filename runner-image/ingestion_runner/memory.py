"""What the kernel says about memory: why a run was killed, and how much one needed."""

import resource
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def memory_limit_note(cgroup: Path = _CGROUP) -> str:
    """A clause that tells the memory limit and whether the kernel counted an out-of-memory kill.

    Files of cgroup v2, as a container sees its own group; without them the clause only tells what is likely.
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
        return f" by somebody in the pod or on the node; the kernel counted no out-of-memory kill{within}"
    return f", most likely because it found no memory{within}"


def peak_memory_of_children() -> int | None:
    """The most memory in bytes that one process had resident at once, of those that have ended; None without any."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 or None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
