"""What a process costs at this moment."""

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024


def resident_mib(pid: int) -> float:
    """Return the memory of a process in MiB (PSS): what it shares with others counts in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / _KIB_PER_MIB, 1)
    raise ValueError(f"process {pid} has no Pss in its smaps_rollup")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / _TICKS, 2)


def idle_seconds() -> float:
    """Return how long the machine's cores have been idle since it was started, all of them together."""
    fields = Path("/proc/stat").read_text().split(maxsplit=5)
    return int(fields[4]) / _TICKS


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def open_files(pid: int) -> int:
    """Return how many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
