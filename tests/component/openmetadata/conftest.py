"""One fake OpenMetadata server for all tests of this folder, run as a process; reset for each."""

from collections.abc import Iterator

import pytest

from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata

TOKEN = "a-bot-token"


@pytest.fixture(scope="session")
def process() -> Iterator[FakeServerClient]:
    with start_fake_openmetadata(token=TOKEN) as fake_server:
        yield fake_server


@pytest.fixture
def fake_server(process: FakeServerClient) -> FakeServerClient:
    """A fake server that knows the service `shop` and its pipeline `shop.nightly`."""
    process.reset()
    process.register_service("shop", "Postgres")
    process.register_pipeline("shop.nightly")
    return process
