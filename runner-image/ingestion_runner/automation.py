"""The input of an automation's pod: OpenMetadata's automations ``Workflow``, as the server sent it.

The parent reads only the fields that it needs to close the automation on the server. The child passes the whole
document to the library. It contains the server's token and the connection's passwords in plain text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingestion_runner.fields import field
from ingestion_runner.inputs import Server, server_of
from ingestion_runner.outcomes import ConfigurationError

_FILE = "automation: "
_TEST_CONNECTION = "TEST_CONNECTION"


@dataclass(frozen=True, slots=True)
class AutomationTarget:
    """The data for closing an automation on the server. The token is None if the server needs none."""

    server: Server
    token: str | None
    workflow_id: str


def automation_target(document: Mapping[str, Any]) -> AutomationTarget:
    """Return the server and the id of the automation in a document.

    Raises:
        ConfigurationError: A field is missing or of the wrong type.
    """
    connection = field(document, "openMetadataServerConnection", dict, where=_FILE)
    where = f"{_FILE}openMetadataServerConnection."
    security = field(connection, "securityConfig", dict, where=where, required=False) or {}
    return AutomationTarget(
        server=server_of(connection, where=where),
        token=field(security, "jwtToken", str, where=f"{where}securityConfig.", required=False) or None,
        workflow_id=field(document, "id", str, where=_FILE),
    )


def require_test_connection(document: Mapping[str, Any]) -> None:
    """Check that the runner supports an automation.

    Raises:
        ConfigurationError: It has no name, by which the library requests it, or it is not a connection test.
    """
    field(document, "name", str, where=_FILE)
    workflow_type = field(document, "workflowType", str, where=_FILE)
    if workflow_type != _TEST_CONNECTION:
        raise ConfigurationError(
            f"this runner does not support automations of type {workflow_type!r}: openmetadata-ingestion has "
            f"open code only for {_TEST_CONNECTION}"
        )
