"""What groups of processes cost: memory, CPU time, how many there are; read from /proc."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from testing.process import resident_mib

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ZOMBIE: Final = "Z"

Groups = Mapping[str, Collection[int]]
"""Process ids by the name of a component."""


@dataclass(frozen=True)
class Stat:
    """The values of /proc/PID/stat."""

    state: str
    parent: int
    session: int
    ticks: int
    """CPU time of the process and of its children that have ended and were waited for."""


@dataclass(frozen=True)
class Cost:
    """What one component costs."""

    mib: float
    """PSS: what processes share counts in part for each."""
    cpu_percent: float
    """Of one core."""
    processes: int


def parse_stat(text: str) -> Stat:
    """Parse a line of /proc/PID/stat; the name in it may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(state=fields[0], parent=int(fields[1]), session=int(fields[3]), ticks=sum(map(int, fields[11:15])))


def descendants(roots: Iterable[int], stats: Mapping[int, Stat]) -> set[int]:
    """Return the roots, all below them, and the processes left in a root's session after its parent's end."""
    begin = set(roots)
    found = {pid for pid, stat in stats.items() if pid in begin or stat.session in begin}
    while more := {pid for pid, stat in stats.items() if stat.parent in found} - found:
        found |= more
    return found


def processes() -> dict[int, Stat]:
    """Return all processes of the machine that are there now."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
            except OSError:  # it has ended
                continue
    return found


def alive(pids: Collection[int]) -> set[int]:
    """Return those that have not ended; a zombie has."""
    now = processes()
    return {pid for pid in pids if pid in now and now[pid].state != _ZOMBIE}


def in_cgroup(part: str) -> set[int]:
    """Return the processes in whose cgroup's path `part` occurs, such as a pod's UID."""
    names = (part, part.replace("-", "_"))  # as the drivers cgroupfs and systemd write it
    return _those(lambda entry: any(each in (entry / "cgroup").read_text() for each in names))


def in_network(namespace: str) -> set[int]:
    """Return the processes in a network namespace, given the path of its file."""
    inode = Path(namespace).stat().st_ino
    return _those(lambda entry: (entry / "ns" / "net").stat().st_ino == inode)


def _those(wanted: Callable[[Path], bool]) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted(entry):
                    found.add(int(entry.name))
            except OSError:  # it has ended
                continue
    return found


def memory(pids: Iterable[int]) -> float:
    """Return the PSS of processes in MiB."""
    total = 0.0
    for pid in pids:
        try:
            total += resident_mib(pid)
        except (OSError, ValueError):  # it has ended
            continue
    return round(total, 1)


def measure(groups: Callable[[], Groups], seconds: float) -> dict[str, Cost]:
    """Measure components for so long; memory and number are those at the end."""
    before, begin = _ticks(groups()), time.monotonic()
    time.sleep(seconds)  # the time that is measured
    after, took = _ticks(groups()), time.monotonic() - begin
    costs = {}
    for name, pids in groups().items():
        used = (after.get(name, 0) - before.get(name, 0)) / _TICKS
        costs[name] = Cost(memory(pids), round(100 * used / took, 2), len(alive(pids)))
    return costs


def total(costs: Mapping[str, Cost]) -> Cost:
    """Return the sum of components."""
    every = costs.values()
    return Cost(
        mib=round(sum(cost.mib for cost in every), 1),
        cpu_percent=round(sum(cost.cpu_percent for cost in every), 2),
        processes=sum(cost.processes for cost in every),
    )


def as_json(costs: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    """Return the components for the file of results."""
    return {name: asdict(cost) for name, cost in costs.items()}


def _ticks(groups: Groups) -> dict[str, int]:
    now = processes()
    return {name: sum(now[pid].ticks for pid in pids if pid in now) for name, pids in groups.items()}


def megabytes(*folders: Path) -> float:
    """Return what the files below folders occupy on the disk, each file once, in MB."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            stat = path.lstat()
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return round(sum(seen.values()) / 1e6, 1)
