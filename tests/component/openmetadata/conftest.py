"""One double of OpenMetadata's API for all tests of this folder, run as a process; reset for each."""

from collections.abc import Iterator

import pytest

from tests.support.double_client import DoubleClient, start_double_process

TOKEN = "a-bot-token"


@pytest.fixture(scope="session")
def process() -> Iterator[DoubleClient]:
    with start_double_process(token=TOKEN) as double:
        yield double


@pytest.fixture
def double(process: DoubleClient) -> DoubleClient:
    """A double that knows the service `shop` and its pipeline `shop.nightly`."""
    process.reset()
    process.register_service("shop", "Postgres")
    process.register_pipeline("shop.nightly")
    return process
