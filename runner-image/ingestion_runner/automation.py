"""What an automation's pod is given: OpenMetadata's automations ``Workflow``, as the server sent it.

The parent reads as much of it as it needs to see to the automation's end; the child gives the whole to the
library. It holds the server's token and the connection's passwords in clear.
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
    """All that is needed to close an automation on the server. The token is None when the server needs none."""

    server: Server
    token: str | None
    workflow_id: str


def automation_target(document: Mapping[str, Any]) -> AutomationTarget:
    """The part of the document that says which automation it is, and of which server.

    Raises
    ------
    ConfigurationError
        A field is missing or of the wrong type.
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
    """Refuse an automation that cannot be carried out.

    Raises
    ------
    ConfigurationError
        It has no name, by which the library asks for it, or it is no test of a connection.
    """
    field(document, "name", str, where=_FILE)
    workflow_type = field(document, "workflowType", str, where=_FILE)
    if workflow_type != _TEST_CONNECTION:
        raise ConfigurationError(
            f"this runner cannot carry out automations of type {workflow_type!r}: openmetadata-ingestion has "
            f"open code for {_TEST_CONNECTION} alone"
        )
