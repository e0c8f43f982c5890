"""What is read beside the seeded PostgreSQL, and the services that stand for it at the server."""

import json
from typing import Any, Final

APPLICATIONS: Final = "OpenMetadata"
"""The service that OpenMetadata's own applications belong to."""
SECURED: Final = "secured-shop"
"""The seeded PostgreSQL, by way of TLS."""
DEPOT: Final = "depot"
"""The seeded MariaDB."""
ORDERING: Final = "ordering"
"""An API that an OpenAPI document describes."""

SERVICES: Final = (
    (APPLICATIONS, "metadata", "OpenMetadata"),
    (SECURED, "database", "Postgres"),
    (DEPOT, "database", "MariaDB"),
    (ORDERING, "api", "Rest"),
)
"""Name, kind and type of each; their connections are in Secrets."""

_ANSWER: Final = {"200": {"description": "found"}}
_ORDER: Final = {"type": "object", "properties": {"id": {"type": "integer"}, "state": {"type": "string"}}}
OPENAPI: Final = json.dumps(
    {
        "openapi": "3.0.3",
        "info": {"title": "Ordering", "version": "1.0"},
        "tags": [{"name": "orders", "description": "What customers want"}],
        "paths": {
            "/orders": {
                "get": {"tags": ["orders"], "operationId": "listOrders", "responses": _ANSWER},
                "post": {
                    "tags": ["orders"],
                    "operationId": "createOrder",
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
                    },
                    "responses": _ANSWER,
                },
            },
            "/stock": {"get": {"tags": ["stock"], "operationId": "listStock", "responses": _ANSWER}},
        },
        "components": {"schemas": {"Order": _ORDER}},
    }
)


def rest(url: str) -> dict[str, Any]:
    """The connection to an API by its OpenAPI document."""
    return {"type": "Rest", "openAPISchemaConnection": {"openAPISchemaURL": url}}


def mariadb(host_port: str, password: str) -> dict[str, Any]:
    """The connection to the seeded MariaDB."""
    return {"type": "MariaDB", "username": "openmetadata", "password": password, "hostPort": host_port}
