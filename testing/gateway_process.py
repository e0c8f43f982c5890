"""The gateway as a program: `python -m ingestion_operator.gateway`, with free ports."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ingestion_operator.gateway.server import listen
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing.operator_process import environment
from testing.waiting import wait_for

ACCOUNT: Final = "ingestion-gateway"
"""The gateway's ServiceAccount in manifests/."""


PROGRAM: Final = ("-m", "ingestion_operator.gateway")
"""What Python runs, unless a profiler runs it."""


@dataclass(frozen=True)
class GatewayProcess:
    """A running gateway."""

    process: "subprocess.Popen[bytes]"
    port: int
    management_port: int
    log: Path

    def manage(self, path: str) -> tuple[int, str]:
        """GET a path of the second port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.management_port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether it reports that."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.manage("/readyz")[0] == 200
        except ConnectionRefusedError:
            return False

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def gateway_command(
    ports: tuple[int, int],
    *,
    kubeconfig: Path,
    namespace: str,
    settings: Path,
    credentials: Path,
    program: Sequence[str] = PROGRAM,
) -> list[str]:
    """Return what starts a gateway at a port and one for management."""
    arguments = [
        f"--settings={settings}", f"--namespace={namespace}", f"--credentials={credentials}",
        f"--kubeconfig={kubeconfig}", f"--port={ports[0]}", f"--management-port={ports[1]}",
    ]  # fmt: skip
    return [sys.executable, *program, *arguments]


def free_ports() -> tuple[int, int]:
    """Return two ports without a listener."""
    with listen(0) as one, listen(0) as two:
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def start_gateway(
    folder: Path,
    *,
    kubeconfig: Path,
    namespace: str,
    settings: Path,
    credentials: Path,
    program: Sequence[str] = PROGRAM,
) -> Iterator[GatewayProcess]:
    """Run a gateway until the block ends; its log goes to `folder`. `program` is what Python runs."""
    ports = free_ports()
    log = folder / f"gateway-{ports[0]}.log"
    command = gateway_command(
        ports,
        kubeconfig=kubeconfig,
        namespace=namespace,
        settings=settings,
        credentials=credentials,
        program=program,
    )
    with log.open("wb") as output, subprocess.Popen(command, env=environment(), stderr=output) as process:
        gateway = GatewayProcess(process, ports[0], ports[1], log)
        try:
            wait_for("the gateway to be ready", gateway.is_ready, timeout=120)
            yield gateway
        finally:
            if process.poll() is None:
                gateway.terminate()


def write_account_kubeconfig(
    cluster: Cluster, namespace: str, path: Path, *, account: str = ACCOUNT, manifest: str = "gateway.yaml"
) -> Path:
    """Create the ServiceAccount and Role of a manifest in a namespace; write a kubeconfig with its token."""
    for body in yaml.safe_load_all((CHECKOUT / "manifests" / manifest).read_text()):
        if body["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
            cluster.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=json.dumps(body))
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("-n", namespace, "create", "token", account, "--duration=8h").strip()
    content["users"] = [{"name": user["name"], "user": {"token": token}} for user in content["users"]]
    path.write_text(yaml.safe_dump(content))
    return path
