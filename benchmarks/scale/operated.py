"""The operator of one environment as a process: started, waited for, and its requests counted phase by phase."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.scale.audit import Calls
from benchmarks.scale.environment import Environment
from benchmarks.scale.metrics import OperatorMetrics
from benchmarks.scale.subject import OPERATOR_MODULE
from benchmarks.scale.work import Work
from testcluster.errors import TestClusterError
from testcluster.progress import show, step, wait_until
from testing.gateway_process import free_ports
from testing.operator_process import start_operator

_SECONDS_EACH: Final = 0.5
_SECONDS_LEAST: Final = 120
_QUIET_SECONDS: Final = 4


@dataclass(frozen=True)
class Running:
    """One life of the operator."""

    process: "subprocess.Popen[bytes]"
    metrics: OperatorMetrics

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid


class Operated:
    """Belongs to one environment; everything that goes wrong in it is a problem, and the measuring goes on."""

    def __init__(self, environment: Environment, size: int) -> None:
        self.environment = environment
        self.size = size
        self.bound = max(_SECONDS_LEAST, _SECONDS_EACH * size)
        """Seconds that anything about all pipelines may take."""
        self.work: dict[str, Work] = {}
        """By phase."""
        self.problems: list[str] = []

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run the operator until the block ends."""
        environment, port = self.environment, free_ports()[0]
        with start_operator(
            environment.folder,
            kubeconfig=environment.operator_kubeconfig,
            namespace=environment.namespace,
            settings=environment.settings_path,
            observer=environment.cluster.kubeconfig,
            program=environment.subject.program(OPERATOR_MODULE, f"--liveness=http://127.0.0.1:{port}/healthz"),
        ) as process:
            yield Running(process, OperatorMetrics(f"http://127.0.0.1:{port}/metrics"))

    @contextmanager
    def metered(self, phase: str, running: Running) -> Iterator[None]:
        """Count what the operator does until the block ends, which should wait until it is quiet."""
        audit, before = self.environment.audit.from_here(), running.metrics.reconciles()
        yield
        self.work[phase] = Work.of(audit.read(Calls()), running.metrics.reconciles() - before)

    def until_quiet(self) -> float:
        """Wait until the operator has made no request but its Lease's for some seconds.

        Return when it made the last one, by time.perf_counter.
        """
        audit, quiet_since, end = (
            self.environment.audit.from_here(),
            time.perf_counter(),
            time.perf_counter() + self.bound,
        )
        with step("waiting for the operator to be quiet"):
            while time.perf_counter() - quiet_since < _QUIET_SECONDS:
                time.sleep(0.5)
                if audit.read(Calls()).requests:
                    quiet_since = time.perf_counter()
                if time.perf_counter() > end:
                    self.problem(f"the operator has not been quiet within {self.bound:.0f} s")
                    break
        return quiet_since

    def waited(self, what: str, condition: Callable[[], bool], *, timeout: float, pause: float = 0.5) -> bool:
        """Wait until a condition holds; return whether it did in time, which is a problem where it did not."""
        try:
            wait_until(what, condition, timeout=timeout, pause=pause)
        except TestClusterError as error:
            self.problem(str(error))
            return False
        return True

    def problem(self, text: str) -> None:
        """Note what is wrong, and show it."""
        show(f"error: {text}")
        self.problems.append(text)
