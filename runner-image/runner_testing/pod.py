"""A directory in the place of a pod's mounts, and the parent started over it."""

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

SOURCES = Path(__file__).parent.parent
RUN_ID = "0b9a8f0e-6a3c-4f8b-9d67-3f2f6f1f8f11"
WAIT_SECONDS = 30.0
TOKEN = "the-bots-token"  # noqa: S105 - a test's token


def pipeline_document(host_port: str, **changes: Any) -> dict[str, Any]:
    """A run input as the operator writes it; a change to None leaves the key out."""
    document: dict[str, Any] = {
        "version": 1,
        "pipelineType": "metadata",
        "fullyQualifiedName": "shop.nightly",
        "displayName": "Nightly shop",
        "service": {"type": "databaseService", "name": "shop"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
        "server": {"hostPort": host_port, "version": "2.0"},
        "loggerLevel": "INFO",
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


AUTOMATION = {"version": 1, "kind": "automation"}
"""The run input of a pod for an automation."""

WORKFLOW_ID = "5d1f3c0a-8f3e-4c60-9a53-0c4f3f0a7d21"


def automation_document(host_port: str, **changes: Any) -> dict[str, Any]:
    """The test of a connection as the server sends it; a change to None leaves the key out."""
    document: dict[str, Any] = {
        "id": WORKFLOW_ID,
        "name": "test-connection-Postgres-a1b2c3",
        "workflowType": "TEST_CONNECTION",
        "request": {
            "connection": {
                "config": {
                    "type": "Postgres",
                    "scheme": "postgresql+psycopg2",
                    "username": "openmetadata",
                    "authType": {"password": "shop-password"},
                    "hostPort": "db:5432",
                    "database": "shop",
                }
            },
            "serviceType": "Database",
            "connectionType": "Postgres",
            "serviceName": "shop",
            "secretsManagerProvider": "db",
        },
        "openMetadataServerConnection": server_connection(host_port),
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


def server_connection(host_port: str, **changes: Any) -> dict[str, Any]:
    """The server connection, with the bot's token in clear text."""
    return {
        "clusterName": "openmetadata",
        "type": "OpenMetadata",
        "hostPort": host_port,
        "authProvider": "openmetadata",
        "verifySSL": "no-ssl",
        "securityConfig": {"jwtToken": TOKEN},
        "secretsManagerProvider": "db",
        "secretsManagerLoader": "noop",
        "apiVersion": "v1",
        "enableVersionValidation": True,
        **changes,
    }


@dataclass
class Pod:
    """The mounts of one pod and the environment of its container; ``python`` runs it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def mount(self, document: dict[str, Any], *, token: str | None = TOKEN) -> None:
        """Write the run input and the token."""
        self._write("pipeline/pipeline.json", json.dumps(document))
        if token is not None:
            self._write("token/token", f"{token}\n")

    def mount_connection(self, text: str) -> None:
        """Write the connection Secret."""
        self._write("connection/connection", text)

    def mount_source_config(self, text: str) -> None:
        """Write the source configuration Secret."""
        self._write("source-config/source-config", text)

    def mount_automation(self, document: dict[str, Any] | str) -> None:
        """Write the Secret of an automation, and the run input for it."""
        self._write("pipeline/pipeline.json", json.dumps(AUTOMATION))
        self._write("automation/automation", document if isinstance(document, str) else json.dumps(document))

    def mount_handover(self, credentials: dict[str, str], *, port: int, seconds: float) -> None:
        """Write the Secret of a warm pod, and the run input with which it waits."""
        document = {"version": 1, "kind": "warmAutomation", "waitSeconds": seconds, "port": port}
        self._write("pipeline/pipeline.json", json.dumps(document))
        for key, value in credentials.items():
            self._write(f"{key}/{key}", value)

    def start(self, *command: str) -> "RunningParent":
        """Start a module of Python's as the container's first process."""
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCES),
            "INGESTION_ROOT": str(self.root),
            "TERMINATION_LOG": str(self.root / "termination-log"),
            "JOB_UID": RUN_ID,
        }
        process = subprocess.Popen(
            [self.python, "-m", *command],
            env=environ | self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return RunningParent(process, self.root / "termination-log")

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class RunningParent:
    """The parent as a process: its log, its exit code, its termination message."""

    def __init__(self, process: subprocess.Popen[bytes], termination_log: Path) -> None:
        self.process = process
        self.log = ""
        self._termination_log = termination_log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def wait_for_line(self, beginning: str) -> str:
        """The first complete line of the log that begins so."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            for line in self.log.splitlines(keepends=True):
                if line.startswith(beginning) and line.endswith("\n"):
                    return line.rstrip("\n")
            if not self._read(deadline):
                raise AssertionError(f"no line {beginning!r} in the log:\n{self.log}")

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        """The exit code, once the process has ended and its log is read."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 0.1))

    def summary(self) -> dict[str, Any]:
        """The termination message."""
        summary: dict[str, Any] = json.loads(self._termination_log.read_bytes())
        return summary

    def has_termination_message(self) -> bool:
        """Whether one was written."""
        return self._termination_log.exists()

    def _read(self, deadline: float) -> bool:
        output = cast("IO[bytes]", self.process.stdout)
        ready, _, _ = select.select([output], [], [], max(deadline - time.monotonic(), 0))
        chunk = os.read(output.fileno(), 65536) if ready else b""
        self.log += chunk.decode("utf-8", "replace")
        return bool(chunk)


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary without what differs from run to run."""
    return {key: value for key, value in summary.items() if key not in ("startTime", "endTime", "peakMemory")}
