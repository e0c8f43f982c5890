"""One fake server for all tests of this folder, run as the process that other tests use; reset for each."""

from collections.abc import Iterator

import pytest

from testing.fake_openmetadata_client import FakeServerClient, start_fake_openmetadata
from testing.postgres.process import connection
from tests.component.fake_openmetadata.api import TOKEN, Api


@pytest.fixture(scope="session")
def process() -> Iterator[FakeServerClient]:
    with start_fake_openmetadata(token=TOKEN) as fake_server:
        yield fake_server


@pytest.fixture
def fake_server(process: FakeServerClient) -> FakeServerClient:
    """A fake server that knows the service `shop` and its pipeline `shop.nightly`."""
    process.reset()
    process.register_service("shop", "Postgres", connection("postgres:5432", "a-password"))
    process.register_pipeline("shop.nightly")
    return process


@pytest.fixture
def api(fake_server: FakeServerClient) -> Api:
    return Api(fake_server)


@pytest.fixture
def tables(api: Api) -> Api:
    """The API of a fake OpenMetadata server that holds the tables orders, customers and notes in shop.main.sales."""
    api.make("databases", {"name": "main", "service": "shop"})
    api.make("databaseSchemas", {"name": "sales", "database": "shop.main"})
    columns = [{"name": "id", "dataType": "INT"}, {"name": "ref", "dataType": "INT"}]
    api.make(
        "tables",
        *(
            {"name": n, "databaseSchema": "shop.main.sales", "columns": columns}
            for n in ("orders", "customers", "notes")
        ),
    )
    return api
