"""One double for all tests of this folder, run as the process that other tests use; reset for each."""

from collections.abc import Iterator

import pytest

from tests.support.double.tests.api import TOKEN, Api
from tests.support.double_client import DoubleClient, start_double_process
from tests.support.postgres.process import connection


@pytest.fixture(scope="session")
def process() -> Iterator[DoubleClient]:
    with start_double_process(token=TOKEN) as double:
        yield double


@pytest.fixture
def double(process: DoubleClient) -> DoubleClient:
    """A double that knows the service `shop` and its pipeline `shop.nightly`."""
    process.reset()
    process.register_service("shop", "Postgres", connection("postgres:5432", "a-password"))
    process.register_pipeline("shop.nightly")
    return process


@pytest.fixture
def api(double: DoubleClient) -> Api:
    return Api(double)


@pytest.fixture
def tables(api: Api) -> Api:
    """The API of a double that holds the tables orders, customers and notes in shop.main.sales."""
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
