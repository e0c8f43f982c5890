"""IngestionPipeline entities as OpenMetadata's server sends them on deploy."""

import base64
import json
from copy import deepcopy
from typing import Any

Body = dict[str, Any]

ENTITY_ID = "8d0f1c52-0000-4000-8000-000000000001"
OTHER_ID = "8d0f1c52-0000-4000-8000-000000000002"


def token(subject: str = "ingestion-bot", serial: int = 1) -> str:
    """A JWT of a bot, with a signature that is not checked here."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject, "jti": serial}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{claims}.c2lnbmF0dXJl"


def entity(name: str = "nightly", *, service: str = "shop", jwt: str | None = None, **changes: Any) -> Body:
    """A body of version 1.4 of the server; `changes` are top-level keys, None removes one."""
    body: Body = {
        "id": ENTITY_ID,
        "name": name,
        "displayName": "Nightly metadata",
        "pipelineType": "metadata",
        "owner": {"id": "0", "type": "user", "name": "ada"},
        "fullyQualifiedName": f"{service}.{name}",
        "sourceConfig": {"config": {"type": "DatabaseMetadata", "includeTables": True, "markDeletedTables": None}},
        "openMetadataServerConnection": {
            "clusterName": "openmetadata",
            "type": "OpenMetadata",
            "hostPort": "http://openmetadata:8585/api",
            "authProvider": "openmetadata",
            "verifySSL": "no-ssl",
            "securityConfig": {"jwtToken": jwt or token()},
            "secretsManagerProvider": "db",
            "apiVersion": "v1",
        },
        "airflowConfig": airflow(),
        "service": {"id": "1", "type": "databaseService", "name": service, "fullyQualifiedName": service},
        "loggerLevel": "INFO",
        "deployed": False,
        "enabled": True,
        "version": 0.1,
        "updatedAt": 1717200000000,
        "updatedBy": "ada",
        "deleted": False,
        "provider": "user",
    }
    return {key: deepcopy(value) for key, value in (body | changes).items() if value is not None}


def airflow(**changes: Any) -> Body:
    """airflowConfig with the values that the server fills in; `changes` are keys, None removes one."""
    body: Body = {
        "pausePipeline": False,
        "concurrency": 1,
        "startDate": "2024-05-20T00:00:00.000000Z",
        "pipelineTimezone": "UTC",
        "retries": 0,
        "retryDelay": 300,
        "pipelineCatchup": False,
        "scheduleInterval": "0 2 * * *",
        "maxActiveRuns": 1,
        "workflowDefaultView": "tree",
        "workflowDefaultViewOrientation": "LR",
    }
    return {key: value for key, value in (body | changes).items() if value is not None}


def automation(
    name: str = "test-connection-shop-x1",
    *,
    password: str = "pw",  # noqa: S107  of a connection that is never opened
    **changes: Any,
) -> Body:
    """An automations Workflow that tests a connection, of version 1.4; `changes` as for `entity`."""
    body: Body = {
        "id": "8d0f1c52-0000-4000-8000-000000000003",
        "name": name,
        "fullyQualifiedName": name,
        "workflowType": "TEST_CONNECTION",
        "status": "Pending",
        "request": {
            "connection": {"config": {"type": "Postgres", "username": "om", "authType": {"password": password}}},
            "serviceType": "Database",
            "connectionType": "Postgres",
            "serviceName": "shop",
            "secretsManagerProvider": "db",
        },
        "openMetadataServerConnection": entity()["openMetadataServerConnection"],
        "version": 0.1,
    }
    return {key: deepcopy(value) for key, value in (body | changes).items() if value is not None}


def application(name: str = "HelloPipelines", **changes: Any) -> Body:
    """An App that runs outside the server; `changes` as for `entity`."""
    body: Body = {
        "id": "8d0f1c52-0000-4000-8000-000000000004",
        "name": name,
        "fullyQualifiedName": name,
        "appType": "external",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfiguration": {"sleep": 0, "echo": "hello"},
        "privateConfiguration": {"apiKey": "app-secret"},
        "pipelines": [{"id": "1", "type": "ingestionPipeline", "fullyQualifiedName": "OpenMetadata.hello"}],
        "openMetadataServerConnection": entity()["openMetadataServerConnection"],
    }
    return {key: deepcopy(value) for key, value in (body | changes).items() if value is not None}
