"""Airflow's own PostgreSQL: a cluster of Debian's package, in a folder that is removed with it."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwnam
from secrets import token_hex
from typing import Any, Final

from testing.postgres.process import BINARIES
from testing.waiting import wait_for

_HOST: Final = "127.0.0.1"


@contextmanager
def open_database(home: Path) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    """Run PostgreSQL with stock settings on a free port until the block ends; yields it and its URL for SQLAlchemy.

    As root it runs as `nobody`, because PostgreSQL refuses root.
    """
    folder, password = home / "database", token_hex(16)
    folder.mkdir(mode=0o700)
    secret = folder / "password"
    secret.write_text(password)
    data = folder / "cluster"
    user = getpwnam("nobody") if os.geteuid() == 0 else None
    identity: dict[str, Any] = {}
    if user is not None:
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        home.chmod(0o711)
        for path in (folder, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
    words = [f"--pgdata={data}", "--username=airflow", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"]
    subprocess.run([BINARIES / "initdb", *words], cwd=folder, stdout=subprocess.DEVNULL, check=True, **identity)
    secret.unlink()
    port = free_port()
    options = {"listen_addresses": _HOST, "port": port, "unix_socket_directories": folder}
    settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    with (home / "database.log").open("wb") as log:
        process = subprocess.Popen(
            [str(BINARIES / "postgres"), "-D", str(data), *settings], cwd=folder, stdout=log, stderr=log, **identity
        )
    ready = [str(BINARIES / "pg_isready"), "--quiet", f"--host={_HOST}", f"--port={port}"]
    try:
        wait_for("PostgreSQL", lambda: subprocess.run(ready, check=False).returncode == 0, timeout=60)
        yield process, f"postgresql+psycopg2://airflow:{password}@{_HOST}:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: clients are cut off
        process.wait()
        shutil.rmtree(data)


def free_port() -> int:
    """A port of the loopback interface that has no listener."""
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
