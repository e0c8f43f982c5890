"""The seeded PostgreSQL as a local process, the way its image starts it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).parent
BINARIES = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 60.0
POLL_SECONDS = 0.1
USER = "openmetadata"


class PostgresError(Exception):
    """PostgreSQL is not installed or did not start."""


@dataclass(frozen=True)
class Postgres:
    """A running server with the database `shop`."""

    host: str
    port: int
    password: str

    @property
    def url(self) -> str:
        """For psql."""
        return f"postgresql://{USER}:{quote(self.password, safe='')}@{self.host}:{self.port}/shop"

    @property
    def connection(self) -> dict[str, Any]:
        """The connection of an OpenMetadata database service of the type Postgres."""
        return connection(f"{self.host}:{self.port}", self.password)


def connection(host_port: str, password: str) -> dict[str, Any]:
    """The connection of an OpenMetadata database service of the type Postgres."""
    return {
        "config": {
            "type": "Postgres",
            "scheme": "postgresql+psycopg2",
            "username": USER,
            "authType": {"password": password},
            "hostPort": host_port,
            "database": "shop",
        }
    }


@contextmanager
def start_postgres(password: str = "shop-password") -> Iterator[Postgres]:  # noqa: S107  a test's password
    """Run it on a free port of 127.0.0.1, in a directory of its own, until the block ends.

    As root it runs as `nobody`, because PostgreSQL refuses root. Raises PostgresError.
    """
    if not (BINARIES / "initdb").exists():
        raise PostgresError(f"there is no {BINARIES}/initdb: apt-get install --no-install-recommends postgresql-15")
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    directory = Path(mkdtemp(prefix="postgres-"))
    log = directory / "log"
    if user is not None:
        os.chown(directory, user.pw_uid, user.pw_gid)
    # start.sh and the seed may lie where `nobody` cannot read.
    for name in ("start.sh", "seed.sql"):
        shutil.copy(HERE / name, directory / name)
        (directory / name).chmod(0o755)
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "POSTGRES_PASSWORD": password,
        "PGDATA": str(directory / "cluster"),
        "PGPORT": str(port),
        "SEED": str(directory / "seed.sql"),
        "SOCKETS": str(directory),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", str(directory / "start.sh")],
            env=environment,
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
    try:
        _wait(process, port, log)
        yield Postgres("127.0.0.1", port, password)
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: clients are cut off
        process.wait()
        shutil.rmtree(directory)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    ready = [str(BINARIES / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    while subprocess.run(ready, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise PostgresError(f"PostgreSQL did not start within {START_SECONDS:.0f} s:\n{log.read_text()}")
        time.sleep(POLL_SECONDS)
