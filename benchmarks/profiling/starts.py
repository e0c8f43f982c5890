"""How long operator and gateway take from their start until they do their work."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.scale.process import processor_seconds
from tests.cluster.locations import CHECKOUT

_LIMIT_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.01
_LEADS: Final = b"\ningestion_operator_leader 1.0\n"

Start = tuple[float, float]
"""Seconds on the clock, and of processor time."""


def operator_starts(count: int, *, kubeconfig: Path, namespace: str, settings: Path) -> list[Start]:
    """Start operators one after the other; each is there once it holds the Lease, which is free."""
    arguments = [f"--namespace={namespace}", f"--settings={settings}", f"--kubeconfig={kubeconfig}"]

    def start() -> Start:
        port = _free_port()
        liveness = f"--liveness=http://127.0.0.1:{port}/healthz"
        url = f"http://127.0.0.1:{port}/metrics"
        return _start(["ingestion_operator", *arguments, liveness], lambda: _LEADS in _read(url))

    return [start() for _ in range(count)]


def gateway_starts(count: int, *, kubeconfig: Path, namespace: str, settings: Path, credentials: Path) -> list[Start]:
    """Start gateways one after the other; each is there once it says that it is ready."""
    arguments = [
        f"--namespace={namespace}", f"--settings={settings}", f"--kubeconfig={kubeconfig}",
        f"--credentials={credentials}",
    ]  # fmt: skip

    def start() -> Start:
        public, management = _free_port(), _free_port()
        ports = [f"--port={public}", f"--management-port={management}"]
        url = f"http://127.0.0.1:{management}/readyz"
        return _start(["ingestion_operator.gateway", *arguments, *ports], lambda: bool(_read(url)))

    return [start() for _ in range(count)]


def _start(words: Sequence[str], is_there: Callable[[], bool]) -> Start:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "operator"), "POD_NAME": "start", "NO_PROXY": "*"}
    begin = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", *words], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not is_there():
                if process.poll() is not None or time.perf_counter() - begin > _LIMIT_SECONDS:
                    raise AssertionError(f"{words[0]} did not start within {_LIMIT_SECONDS} s")
                time.sleep(_PAUSE_SECONDS)
            return round(time.perf_counter() - begin, 2), processor_seconds(process.pid)
        finally:
            process.terminate()
            process.wait(timeout=40)


def _read(url: str) -> bytes:
    """Return what is answered with 200; nothing while there is no such answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  our own program's port
            return bytes(answer.read())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return b""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
