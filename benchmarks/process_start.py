"""How long operator and gateway take from their first instruction until they do their work."""

import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from testcluster.errors import TestClusterError
from testing import gateway_process, operator_process
from testing.gateway_process import free_ports, gateway_command
from testing.operator_process import environment, operator_command
from testing.process import cpu_seconds

_BOUND_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.005
_END_SECONDS: Final = 40
_LEADS: Final = b"\ningestion_operator_leader 1.0\n"


class Start(NamedTuple):
    """One start."""

    seconds: float
    cpu_seconds: float


def start_operator_once(
    *, kubeconfig: Path, namespace: str, settings: Path, program: Sequence[str] = operator_process.PROGRAM
) -> Start:
    """Start an operator and end it; it is up once it holds the Lease, which must be free. Raises TestClusterError."""
    port = free_ports()[0]
    command = operator_command(kubeconfig=kubeconfig, namespace=namespace, settings=settings, program=program)
    command.append(f"--liveness=http://127.0.0.1:{port}/healthz")
    return _start(command, f"http://127.0.0.1:{port}/metrics", sign=_LEADS)


def start_gateway_once(
    *,
    kubeconfig: Path,
    namespace: str,
    settings: Path,
    credentials: Path,
    program: Sequence[str] = gateway_process.PROGRAM,
) -> Start:
    """Start a gateway and end it; it has started once it reports that it is ready. Raises TestClusterError."""
    ports = free_ports()
    command = gateway_command(
        ports,
        kubeconfig=kubeconfig,
        namespace=namespace,
        settings=settings,
        credentials=credentials,
        program=program,
    )
    return _start(command, f"http://127.0.0.1:{ports[1]}/readyz")


def _start(command: Sequence[str], url: str, *, sign: bytes = b"") -> Start:
    """Measure until the URL is answered with 200 and the sign."""
    begin = time.perf_counter()
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as process:
        try:
            while (answer := _read(url)) is None or sign not in answer:
                if process.poll() is not None or time.perf_counter() - begin > _BOUND_SECONDS:
                    raise TestClusterError(f"{' '.join(command)} does not answer at {url}")
                time.sleep(_PAUSE_SECONDS)
            return Start(round(time.perf_counter() - begin, 3), cpu_seconds(process.pid))
        finally:
            process.terminate()
            process.wait(_END_SECONDS)


def _read(url: str) -> bytes | None:
    """Return the body of an answer with 200; None while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  the program's own port
            return bytes(answer.read())
    except OSError:
        return None
