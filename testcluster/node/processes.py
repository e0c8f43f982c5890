"""Daemons that outlive the command that started them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testcluster.commands import require
from testcluster.errors import TestClusterError
from testcluster.locations import Layout
from testcluster.node import cgroups

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs before the daemon's own program, in the same process: joins the cluster's cgroups.
_JOIN = 'for group in $GROUPS_TO_JOIN; do echo 0 > "$group/cgroup.procs"; done; exec "$@"'


@dataclass(frozen=True)
class Component:
    """A daemon of the node: its name, which is also its log's, and its command line."""

    name: str
    command: Sequence[str]
    path: Sequence[Path] = field(default=())  # folders before the system's PATH


def _start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


class Processes:
    """Starts, finds and stops the daemons of one cluster."""

    def __init__(self, layout: Layout, namespace: Path) -> None:
        self._layout = layout
        self._namespace = namespace

    def log(self, name: str) -> Path:
        return self._layout.logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The id of a running daemon, None when it does not run.

        The recorded start time distinguishes the daemon from a later process with the same id.
        """
        try:
            record = json.loads((self._layout.pids / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        self._reap(record["pid"])
        return record["pid"] if _start_time(record["pid"]) == record["startTime"] else None

    def start(self, component: Component) -> bool:
        """Starts a daemon unless it runs. Returns whether it did."""
        if self.pid(component.name) is not None:
            return False
        groups = cgroups.component_groups(self._layout.identifier)
        folders = [str(folder) for folder in component.path]
        environment: Mapping[str, str] = {
            "GROUPS_TO_JOIN": " ".join(map(str, groups)),
            "PATH": ":".join([*folders, _SYSTEM_PATH]),
            "HOME": "/root",
        }
        # nsenter, not `ip netns exec`: that one mounts a new /sys, which hides the cgroups.
        enter = [require("nsenter"), f"--net={self._namespace}", "--"]
        with self.log(component.name).open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _JOIN, "sh", *enter, *component.command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        # The daemon outlives this process: Popen must not warn that its child still runs.
        process.returncode = 0
        record = {"pid": process.pid, "startTime": _start_time(process.pid)}
        file = self._layout.pids / f"{component.name}.json"
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(record))
        unfinished.replace(file)
        return True

    def stop(self, name: str, *, sig: signal.Signals = signal.SIGTERM, timeout: float = 90) -> None:
        """Ends a daemon and waits for it. Raises TestClusterError when it is still there after that."""
        pid = self.pid(name)
        if pid is None:
            return
        os.kill(pid, sig)
        deadline = time.monotonic() + timeout
        while self.pid(name) == pid:
            if time.monotonic() > deadline:
                raise TestClusterError(f"{name} (process {pid}) did not end within {timeout:.0f} s")
            time.sleep(0.05)

    def signal(self, name: str, sig: signal.Signals) -> None:
        """Sends a signal to a daemon. Raises TestClusterError when it does not run."""
        pid = self.pid(name)
        if pid is None:
            raise TestClusterError(f"{name} does not run: it cannot get {sig.name}")
        os.kill(pid, sig)

    def last_words(self, name: str, lines: int = 15) -> str:
        """The end of a daemon's log, for error messages."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return f"{name} has written no log"
        return f"the end of {self.log(name)}:\n" + "\n".join(text.splitlines()[-lines:])

    @staticmethod
    def _reap(pid: int) -> None:
        with suppress(ChildProcessError):  # one that an earlier command started
            os.waitpid(pid, os.WNOHANG)
