"""The runner as a pod would start it, over the real openmetadata-ingestion and a double of the server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner_testing.pod import TOKEN, Pod
from tests.cluster.locations import CHECKOUT
from tests.support.double_client import DoubleClient, start_double_process
from tests.support.environments import Lock, python_of
from tests.support.postgres.process import Postgres, start_postgres

RUNNER = CHECKOUT / "runner-image"
LOCKS = [
    Lock(RUNNER / "locks" / "build.txt"),
    # The two source distributions are built by the locked setuptools.
    Lock(RUNNER / "locks" / "2.0.txt", ("--no-build-isolation", "--use-pep517")),
    Lock(RUNNER / "tests" / "requirements.txt"),
]


@pytest.fixture(scope="session")
def library_python() -> Path:
    """The interpreter of an environment with the library, which takes minutes to make on first use."""
    return python_of("runner-2.0", LOCKS)


@pytest.fixture(scope="session")
def process() -> Iterator[DoubleClient]:
    with start_double_process(token=TOKEN) as double:
        yield double


@pytest.fixture
def double(process: DoubleClient) -> DoubleClient:
    process.reset()
    return process


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as database:
        yield database


@pytest.fixture
def pod(tmp_path: Path, library_python: Path) -> Pod:
    return Pod(tmp_path, environ={"HOME": str(tmp_path)}, python=str(library_python))
