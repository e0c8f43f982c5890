"""Fixtures of the runner's tests, and which of them need openmetadata-ingestion."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner_testing.pod import Pod, pipeline_document
from runner_testing.server import RecordingServer

NEEDS_LIBRARY = Path(__file__).parent / "integration"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`integration` needs the library, which the tests' own environment lacks: it runs when it is named."""
    named = any(Path(argument.partition("::")[0]).resolve().is_relative_to(NEEDS_LIBRARY) for argument in config.args)
    return True if collection_path == NEEDS_LIBRARY and not named else None


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        yield server


@pytest.fixture
def pod(tmp_path: Path, server: RecordingServer) -> Pod:
    """A pod whose run input names the recording server."""
    pod = Pod(tmp_path)
    pod.mount(pipeline_document(server.host_port))
    return pod
