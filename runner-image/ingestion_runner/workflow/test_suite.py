"""Test suites: the library finds the services of their tables, or the connection is mounted."""

from collections.abc import Mapping
from typing import Any

from ingestion_runner.inputs import Service
from ingestion_runner.outcomes import ConfigurationError

_TABLE = "entityFullyQualifiedName"


def service_of(source_config: Mapping[str, Any]) -> Service | None:
    """Return the database service of the tested table, or None for a suite over several tables."""
    table = source_config["config"].get(_TABLE)
    return Service(type="databaseService", name=_first_part(table)) if isinstance(table, str) and table else None


def with_connection(source_config: Mapping[str, Any], connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source configuration with a mounted connection for the service of the tested table.

    Raises:
        ConfigurationError: It names no table, so the service of the connection is unknown.
    """
    service = service_of(source_config)
    if service is None:
        raise ConfigurationError(
            f"a connection Secret is for the service of one table, and sourceConfig.config.{_TABLE} names no table: "
            "name each service and its connection in sourceConfig.config.serviceConnections, in a source config Secret"
        )
    config = source_config["config"]
    others = [one for one in config.get("serviceConnections") or () if one.get("serviceName") != service.name]
    mounted = {"serviceName": service.name, "serviceConnection": dict(connection)}
    return {**source_config, "config": {**config, "serviceConnections": [*others, mounted]}}


def _first_part(fully_qualified_name: str) -> str:
    """Return the name of the service; a part in double quotes may contain dots."""
    if fully_qualified_name.startswith('"'):
        return fully_qualified_name[1:].partition('"')[0]
    return fully_qualified_name.partition(".")[0]
