"""The runner as a pod would start it, over the real openmetadata-ingestion and a fake OpenMetadata server.

OPENMETADATA=1.13 chooses another minor version than the default, as `make test-versions` does.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner_testing.pod import TOKEN, Pod
from testcluster.images import DEFAULT_OPENMETADATA, openmetadata_versions
from testcluster.locations import CHECKOUT
from testing.environments import Lock, python_of
from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata
from testing.postgres.process import Postgres, start_postgres

RUNNER = CHECKOUT / "runner-image"
VERSION = os.environ.get("OPENMETADATA", DEFAULT_OPENMETADATA)
LOCKS = [
    Lock(RUNNER / "locks" / "build.txt"),
    # The two source distributions are built by the locked setuptools.
    Lock(RUNNER / "locks" / f"{VERSION}.txt", ("--no-build-isolation", "--use-pep517")),
    Lock(RUNNER / "tests" / "requirements.txt"),
]


@pytest.fixture(scope="session")
def library_python() -> Path:
    """The interpreter of an environment with the library, which takes minutes to make on first use."""
    return python_of(f"runner-{VERSION}", LOCKS)


@pytest.fixture(scope="session")
def server_version() -> str:
    """The version of the server that goes with the library."""
    return openmetadata_versions()[VERSION].rpartition(".")[0]  # the last part counts releases of the library


@pytest.fixture(scope="session")
def process(server_version: str) -> Iterator[FakeServerClient]:
    with start_fake_openmetadata(token=TOKEN, version=server_version) as fake_server:
        yield fake_server


@pytest.fixture
def fake_server(process: FakeServerClient) -> FakeServerClient:
    process.reset()
    return process


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as database:
        yield database


@pytest.fixture
def pod(tmp_path: Path, library_python: Path) -> Pod:
    return Pod(tmp_path, environ={"HOME": str(tmp_path)}, python=str(library_python))
