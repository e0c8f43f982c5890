"""An S3 server on this machine: versitygw over a folder, with one user."""

import os
import secrets
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from testcluster import binaries
from testing.waiting import wait_for

REGION: Final = "us-east-1"
"""The server's region, and what clients assume without one."""


class S3Server:
    """Listens on 127.0.0.1, on the same port whenever it is started; what it has stored outlives it."""

    def __init__(self, folder: Path) -> None:
        """Give it an empty folder for buckets and its log."""
        self.key_id = f"id-{secrets.token_hex(8)}"
        self.secret = secrets.token_hex(20)
        self._buckets, self._log = folder / "buckets", folder / "log"
        self._buckets.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its clients, as in docs/user-guide/logs.md."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }

    def make_bucket(self, name: str) -> Path:
        """Make a bucket; return its folder, in which objects are files."""
        folder = self._buckets / name
        folder.mkdir()
        return folder

    def start(self) -> None:
        """Start it and wait until it answers. Raises TestClusterError when it has to be built and Go is missing."""
        # Without the files beside objects that it would keep for what no test here asks for, such as tags.
        options = ["--port", f"127.0.0.1:{self._port}", "--region", REGION, "--keep-alive", "--quiet"]
        command = [binaries.ensure_s3_server(), *options, "posix", "--nometa", str(self._buckets)]
        environment = {**os.environ, "ROOT_ACCESS_KEY_ID": self.key_id, "ROOT_SECRET_ACCESS_KEY": self.secret}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for("the S3 server to answer", self._answers, timeout=20)

    def kill(self) -> None:
        """End it without a word, as a power cut would; nothing if it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block runs it takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until all of its threads have
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            direct.open(self.url, timeout=5).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()  # an unsigned request must not read it
        except OSError:
            return False
        return True


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server until the block ends."""
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
