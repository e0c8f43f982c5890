from typing import Any

import pytest

from ingestion_runner.inputs import Service
from ingestion_runner.outcomes import ConfigurationError
from ingestion_runner.workflow.test_suite import service_of, with_connection

CONNECTION = {"config": {"type": "Postgres"}}


def suite(**config: Any) -> dict[str, Any]:
    return {"config": {"type": "TestSuite", **config}}


@pytest.mark.parametrize(
    ("table", "name"), [("shop.shop.sales.orders", "shop"), ('"shop.eu".shop.sales."or.ders"', "shop.eu")]
)
def test_service_is_that_of_the_table(table: str, name: str) -> None:
    assert service_of(suite(entityFullyQualifiedName=table)) == Service(type="databaseService", name=name)


def test_suite_over_several_tables_has_no_service() -> None:
    assert service_of(suite()) is None


def test_mounted_connection_is_that_of_the_tables_service() -> None:
    other = {"serviceName": "other", "serviceConnection": {"config": {"type": "Mysql"}}}
    old = {"serviceName": "shop", "serviceConnection": {"config": {"type": "Mysql"}}}
    source_config = suite(entityFullyQualifiedName="shop.shop.sales.orders", serviceConnections=[old, other])

    connections = with_connection(source_config, CONNECTION)["config"]["serviceConnections"]

    assert connections == [other, {"serviceName": "shop", "serviceConnection": CONNECTION}]


def test_mounted_connection_without_an_owner_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"names no table: .* sourceConfig\.config\.serviceConnections"):
        with_connection(suite(), CONNECTION)
