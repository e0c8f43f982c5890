import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment without this machine's variables for clients of clouds."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "SSL_")):
            monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    return monkeypatch


@pytest.fixture
def server(shared_server: S3Server, environment: pytest.MonkeyPatch) -> S3Server:
    """A server whose credentials are in the environment; it is others' too, so leave it running."""
    _set_variables(shared_server, environment)
    return shared_server


@pytest.fixture
def fragile_server(tmp_path: Path, environment: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The same, to be killed and started."""
    with s3_server(tmp_path) as server:
        _set_variables(server, environment)
        yield server


@pytest.fixture
def bucket() -> str:
    """A name that no other test has."""
    return f"logs-{uuid.uuid4().hex[:8]}"


def _set_variables(server: S3Server, environment: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        environment.setenv(name, value)
