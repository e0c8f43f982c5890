"""The operator as a program: `python -m ingestion_operator`, outside the cluster."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.k8s.timestamps import parse_timestamp
from ingestion_operator.ports import LEASES
from testcluster.locations import CHECKOUT
from testing.waiting import wait_for

PROGRAM: Final = ("-m", "ingestion_operator")
"""What Python runs, unless a profiler runs it."""


def operator_command(
    *, kubeconfig: Path, namespace: str, settings: Path, program: Sequence[str] = PROGRAM
) -> list[str]:
    """Return what starts the operator for a namespace."""
    arguments = [f"--settings={settings}", f"--namespace={namespace}", f"--kubeconfig={kubeconfig}"]
    return [sys.executable, *program, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of this checkout's programs: heaps as in their image."""
    own = {"PYTHONPATH": str(CHECKOUT / "operator"), "MALLOC_ARENA_MAX": "2"}
    return {**os.environ, **own, "NO_PROXY": "*", "no_proxy": "*"}


@contextmanager
def start_operator(
    folder: Path,
    *,
    kubeconfig: Path,
    namespace: str,
    settings: Path,
    observer: Path | None = None,
    pod: str | None = None,
    program: Sequence[str] = PROGRAM,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the operator for a namespace until the block ends; its log goes to `folder`.

    `observer` is the kubeconfig that its heartbeat is read with, where its own account may not. With `pod` it is
    a container of a pod of that name: one that follows another leads at once. `program` is what Python runs.
    """
    log = folder / "operator.log"
    command = operator_command(kubeconfig=kubeconfig, namespace=namespace, settings=settings, program=program)
    named = {} if pod is None else {"POD_NAME": pod}
    cluster = KubernetesCluster(connect(read_configuration(str(observer or kubeconfig))))
    begin = datetime.now(UTC)

    def is_alive() -> bool:
        """Whether the Lease has been renewed since: one may be there from before."""
        assert process.poll() is None, log.read_text()
        lease = cluster.get(LEASES, namespace, LEASE_NAME) or {}
        renewed = parse_timestamp(lease.get("spec", {}).get("renewTime"))
        return renewed is not None and renewed > begin

    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment() | named, stderr=output) as process,
    ):
        try:
            wait_for("the operator's heartbeat", is_alive, timeout=120)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=40)
