"""The gateway as a program: `python -m ingestion_operator.gateway`, with free ports."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingestion_operator.gateway.server import listen
from tests.cluster.locations import CHECKOUT
from tests.support.waiting import wait_for


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
        """Whether it says so."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.manage("/readyz")[0] == 200
        except ConnectionRefusedError:
            return False

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@contextmanager
def start_gateway(
    folder: Path, *, kubeconfig: Path, namespace: str, settings: Path, credentials: Path
) -> Iterator[GatewayProcess]:
    """Run a gateway until the block ends; its log goes to `folder`."""
    with listen(0) as one, listen(0) as two:
        ports = [listener.getsockname()[1] for listener in (one, two)]
    log = folder / f"gateway-{ports[0]}.log"
    arguments = [
        f"--settings={settings}", f"--namespace={namespace}", f"--credentials={credentials}",
        f"--kubeconfig={kubeconfig}", f"--port={ports[0]}", f"--management-port={ports[1]}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "operator"), "NO_PROXY": "*", "no_proxy": "*"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "ingestion_operator.gateway", *arguments], env=environment, stderr=output
        ) as process,
    ):
        gateway = GatewayProcess(process, ports[0], ports[1], log)
        try:
            wait_for("the gateway to be ready", gateway.is_ready, timeout=60)
            yield gateway
        finally:
            if process.poll() is None:
                gateway.terminate()
