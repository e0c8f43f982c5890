"""What a process costs: memory and processor time, sampled while something else goes on."""

import os
import threading
import time
from pathlib import Path
from typing import Final, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024


def resident_mib(pid: int) -> float:
    """Return the memory of a process in MiB (PSS): what it shares with others counts in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / _KIB_PER_MIB, 1)
    raise ValueError(f"process {pid} has no Pss in its smaps_rollup")


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / _TICKS, 2)


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def open_files(pid: int) -> int:
    """Return how many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Sampling:
    """Samples processes once a second until the block ends: [seconds since the start, MiB, processor seconds]."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids
        self._begin = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)
        self.samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pids}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._ended.wait(1):
            for name, pid in list(self._pids.items()):
                try:
                    sample = (round(time.monotonic() - self._begin, 1), resident_mib(pid), processor_seconds(pid))
                except (OSError, ValueError):  # it has ended
                    del self._pids[name]
                else:
                    self.samples[name].append(sample)
