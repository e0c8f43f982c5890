"""What every test cluster can do, whichever way it is provided."""

import re
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

from testcluster.commands import environment, run
from testcluster.errors import CommandError, TestClusterError

# A proxy of the machine must not stand between kubectl and an API server on this machine.
_DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}

_LISTENING = re.compile(r"(?:Forwarding from|Starting to serve on) 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class ComponentStatus:
    """A part of the cluster, whether it runs, and what is known about it."""

    name: str
    running: bool
    detail: str


class Cluster(ABC):
    """A running cluster.

    Attributes: ``kubeconfig``, an administrator's; ``kubectl_path``, a kubectl that fits.
    """

    def __init__(self, kubeconfig: Path, kubectl_path: str) -> None:
        self.kubeconfig = kubeconfig
        self.kubectl_path = kubectl_path

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Standard output of a kubectl command. Raises CommandError with what kubectl said."""
        return run(self._kubectl(*arguments), stdin=stdin, env=_DIRECT, timeout=timeout)

    def lines(self, *arguments: str) -> Iterator[str]:
        """The lines of a kubectl command as they come, until it ends."""
        with subprocess.Popen(
            self._kubectl(*arguments),
            env=environment(_DIRECT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")

    def _kubectl(self, *arguments: str) -> list[str]:
        return [self.kubectl_path, "--kubeconfig", str(self.kubeconfig), *arguments]

    def forward(self, namespace: str, service: str, port: int) -> AbstractContextManager[int]:
        """A port on 127.0.0.1 that reaches a Service as long as the context is open.

        The connection goes to one pod behind the Service, chosen at the start. Raises
        TestClusterError when nothing listens within 30 seconds.
        """
        target = service if "/" in service else f"service/{service}"
        return self._listening("port-forward", "--namespace", namespace, target, f":{port}")

    def proxy(self) -> AbstractContextManager[int]:
        """A port on 127.0.0.1 that passes HTTP on to the API server, as the administrator.

        For programs that know nothing of certificates; pods are reached through it too, whichever
        there are. Raises TestClusterError when nothing listens within 30 seconds.
        """
        return self._listening("proxy", "--port=0")

    @contextmanager
    def _listening(self, *arguments: str) -> Iterator[int]:
        command = self._kubectl(*arguments)
        with subprocess.Popen(
            command,
            env=environment(_DIRECT),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            lines: Queue[str] = Queue()
            reader = threading.Thread(target=_copy_lines, args=(process, lines), daemon=True)
            reader.start()
            try:
                yield _port(command, lines)
            finally:
                process.terminate()
                process.wait(timeout=10)
                reader.join(timeout=10)

    @abstractmethod
    def load(self, archive: Path) -> None:
        """Makes the images of a docker-archive available to pods. Those already there stay."""

    @abstractmethod
    def status(self) -> list[ComponentStatus]:
        """The parts of the cluster."""

    def start(self, component: str) -> None:
        """Starts a part of the cluster that was stopped."""
        raise self._unsupported(f"starting {component}")

    def stop(self, component: str, *, kill: bool = False) -> None:
        """Ends a part of the cluster and waits for its end; ``kill`` gives it no time to tidy up."""
        raise self._unsupported(f"{'killing' if kill else 'stopping'} {component}")

    def restart(self, component: str, *, kill: bool = False) -> None:
        """Stops a part of the cluster and starts it again."""
        self.stop(component, kill=kill)
        self.start(component)

    def frozen(self, component: str) -> AbstractContextManager[None]:
        """Lets a part of the cluster stand still, neither dead nor alive, as long as the context is open."""
        raise self._unsupported(f"freezing {component}")

    def enforcing_policies(self) -> AbstractContextManager[None]:
        """Inside, NetworkPolicies hold. Of the network of a cluster that is not built here it is taken for granted."""
        return nullcontext()

    def log(self, component: str) -> Path:
        """The file that holds a component's log; ``audit`` is the API server's audit log."""
        raise self._unsupported(f"reading the log of {component}")

    def pid(self, component: str) -> int:
        """Return the id of a component's process. Raises TestClusterError where it does not run, or cannot be known."""
        raise self._unsupported(f"measuring {component}")

    def nsenter_prefix(self) -> list[str]:
        """Words before a command that must reach pods' and Services' addresses directly."""
        raise self._unsupported("entering the node's network")

    def _unsupported(self, what: str) -> TestClusterError:
        return TestClusterError(f"{what} needs the test cluster that testcluster itself builds")


def _copy_lines(process: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")  # the end


def _port(command: list[str], lines: "Queue[str]") -> int:
    said = ""
    try:
        while line := lines.get(timeout=30):
            if found := _LISTENING.match(line):
                return int(found[1])
            said += line
    except Empty:
        raise CommandError(command, None, said) from None
    raise CommandError(command, 1, said)
