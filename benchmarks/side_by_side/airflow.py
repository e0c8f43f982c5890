"""Apache Airflow with the real plugin, as OpenMetadata's own Compose file sets it up; installed by the bench itself.

Four processes with what they fork, and a PostgreSQL of their own, all on free ports. Airflow and plugin come from the
package index into an environment in the cache (airflow.lock); nothing of them is in this repository.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.side_by_side import contender
from benchmarks.side_by_side.database import free_port, open_database
from benchmarks.side_by_side.footprint import Groups, alive, descendants, megabytes, processes
from testcluster.commands import run
from testcluster.progress import step
from testing.environments import Lock, python_of
from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata
from testing.installation import SERVICE
from testing.postgres.process import BINARIES, start_postgres
from testing.waiting import wait_for

LOCK: Final = Path(__file__).parent / "airflow.lock"
COMPONENTS: Final = ("api-server", "scheduler", "dag-processor", "triggerer")
USERNAME: Final = "admin"
_HEALTH: Final = "/api/v2/monitor/health"
_START_SECONDS: Final = 300
_STOP_SECONDS: Final = 30
_SETTLE_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.1
_HOST: Final = "127.0.0.1"


def python() -> Path:
    """The interpreter of Airflow's environment, which is made on first use: some minutes, about 1 GB."""
    return python_of("airflow", [Lock(LOCK, ("--no-deps",))])


@dataclass
class Airflow:
    """A contender; see `open_airflow`."""

    fake_server: FakeServerClient
    home: Path
    token: str
    port: int
    password: str
    database: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    interpreter: Path
    _roots: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    _standing: set[int] = field(default_factory=set)

    def server(self) -> contender.Client:
        return contender.Client.new(self.port, username=USERNAME, password=self.password)

    def entity(self, name: str) -> contender.Body:
        return contender.entity(self.fake_server, name, self.fake_server.host_port, self.token)

    def cold_start(self) -> float:
        self.stop()
        started = time.time()
        for component in COMPONENTS:
            self._roots[component] = self._start(component)
        with step("starting Airflow"):
            end = started + _START_SECONDS
            while not self._is_healthy(started):
                self._check(end)
                time.sleep(_POLL_SECONDS)
        took = time.time() - started
        self._standing = self._processes("api-server")
        return took

    def stop(self) -> None:
        """End all processes, whatever they have forked."""
        for process in self._roots.values():
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + _STOP_SECONDS
        for process in self._roots.values():
            try:
                process.wait(timeout=max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # The forks of an api-server outlive it, and fork again until they are gone.
        wait_for("the end of what Airflow has forked", self._kill_the_rest, timeout=_STOP_SECONDS)
        self._roots.clear()

    def _kill_the_rest(self) -> bool:
        """Kill what is left in the sessions of the processes that were started; whether nothing was."""
        left = alive(descendants([process.pid for process in self._roots.values()], processes()))
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def settle(self) -> None:
        wait_for(
            "the api-server's scans of all DAG files",
            lambda: not alive(self._processes("api-server") - self._standing),
            timeout=_SETTLE_SECONDS,
        )

    def own(self) -> Groups:
        return {component: self._processes(component) for component in self._roots}

    def platform(self) -> Groups:
        return {"postgresql": descendants([self.database.pid], processes())}

    def run_processes(self, name: str) -> set[int]:  # noqa: ARG002  only one runs at a time
        """What the scheduler's workers have forked; the worker itself supervises it and stays."""
        stats = processes()
        scheduler = self._roots["scheduler"].pid
        workers = {pid for pid, stat in stats.items() if stat.parent == scheduler}
        return {pid for pid, stat in stats.items() if stat.parent in workers}

    def disk(self) -> tuple[float, float]:
        packages = megabytes(self.interpreter.parent.parent)
        return packages, packages + megabytes(BINARIES.parent, self.home / "database")

    def _start(self, component: str) -> "subprocess.Popen[bytes]":
        words = [component, *(["--port", str(self.port), "--host", _HOST] if component == "api-server" else [])]
        with (self.home / f"{component}.log").open("ab") as log:
            return subprocess.Popen(
                [self.interpreter.parent / "airflow", *words],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _processes(self, component: str) -> set[int]:
        return descendants([self._roots[component].pid], processes())

    def _is_healthy(self, started: float) -> bool:
        """Whether the plugin answers and all components have shown a heartbeat since the start."""
        parts = contender.get_json(_HOST, self.port, _HEALTH)
        return parts is not None and all_healthy(parts, started) and contender.is_healthy(_HOST, self.port)

    def _check(self, end: float) -> None:
        for component, process in self._roots.items():
            if process.poll() is not None or time.time() > end:
                log = (self.home / f"{component}.log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"Airflow has not started; the {component}'s log ends with:\n{log}")


def all_healthy(parts: Any, started: float) -> bool:
    """Whether Airflow's own answer names all components as healthy, each by a heartbeat since the start."""
    beats = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "dag_processor"}
    return parts["metadatabase"]["status"] == "healthy" and all(
        parts[part]["status"] == "healthy" and _epoch(parts[part][f"latest_{name}_heartbeat"]) >= started
        for part, name in beats.items()
    )


def _epoch(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


@contextmanager
def open_airflow() -> Iterator[Airflow]:
    """Set everything up and remove it at the end, the processes first. They are started by `cold_start`."""
    interpreter, token, password = python(), secrets.token_hex(16), secrets.token_hex(16)
    with (
        TemporaryDirectory(prefix="airflow-") as folder,
        start_postgres() as source,
        start_fake_openmetadata(token=token) as fake_server,
        open_database(Path(folder)) as (database, url),
    ):
        fake_server.register_service(SERVICE, "Postgres", source.connection)
        home, port = Path(folder), free_port()
        environment = _environment(home, interpreter, port, url)
        with step("preparing Airflow's database"):
            airflow = interpreter.parent / "airflow"
            run([airflow, "db", "migrate"], env=environment, cwd=home, timeout=300)
            user = ["--username", USERNAME, "--password", password, "--role", "Admin", "--email", "a@b.invalid"]
            names = ["--firstname", "Ada", "--lastname", "L"]
            run([airflow, "users", "create", *user, *names], env=environment, cwd=home, timeout=300)
        opened = Airflow(fake_server, home, token, port, password, database, environment, interpreter)
        try:
            yield opened
        finally:
            opened.stop()


def _environment(home: Path, interpreter: Path, port: int, database_url: str) -> dict[str, str]:
    """As OpenMetadata's Compose file configures Airflow; everything else is Airflow's default."""
    fab = "airflow.providers.fab.auth_manager"
    given = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": f"{fab}.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{_HOST}:{port}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        "AIRFLOW__API__BASE_URL": f"http://{_HOST}:{port}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__FAB__AUTH_BACKENDS": f"{fab}.api.auth.backend.basic_auth,{fab}.api.auth.backend.session",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__OPENMETADATA_AIRFLOW_APIS__DAG_GENERATED_CONFIGS": str(home / "dag_generated_configs"),
        "PATH": f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    # Without compiled packages Python would compile them again at each start and import.
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | given
