"""What both contenders can do, and the pipelines that both are given: by one client, as OpenMetadata's server does."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from benchmarks.side_by_side.footprint import Groups
from testing.fake_openmetadata_client import FakeServerClient
from testing.installation import SERVICE, SOURCE_CONFIG
from testing.server_client import Reply, ServerClient

HEALTH: Final = "/pluginsv2/api/v2/openmetadata/health"
_ANSWER_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 2.0

Body = dict[str, Any]


class Client(ServerClient):
    """Opens a new connection where the old one has rested: a server may have closed it, as uvicorn does after 5 s.

    The JDK's client notices that when it sends; Python's does not.
    """

    _used = 0.0

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        if time.monotonic() - self._used > _KEPT_SECONDS:
            self.close()
        try:
            return super().send(method, path, query, body=body, headers=headers)
        finally:
            self._used = time.monotonic()


class Contender(Protocol):
    """An orchestrator that runs, with a fake OpenMetadata server of OpenMetadata that its runs reach."""

    @property
    def fake_server(self) -> FakeServerClient:
        """The server that its runs report to."""

    def server(self) -> Client:
        """A new connection, as a server has one."""

    def entity(self, name: str) -> Body:
        """A pipeline that catalogues the seeded database on demand, as a server deploys it."""

    def cold_start(self) -> float:
        """Stop all processes, start them, and return the seconds until `health` answers."""

    def settle(self) -> None:
        """Return when what deploys have set going has ended."""

    def own(self) -> Groups:
        """Its own processes that stay, by component."""

    def platform(self) -> Groups:
        """The processes of what it stands on, by component."""

    def run_processes(self, name: str) -> set[int]:
        """The processes of a pipeline's run; it must be running, and no other."""

    def disk(self) -> tuple[float, float]:
        """What it occupies, and what it stands on, in MB."""


def entity(fake_server: FakeServerClient, name: str, host_port: str, token: str) -> Body:
    """Register a pipeline with the fake OpenMetadata server, and return what a server of 2.0 would send."""
    body = fake_server.register_pipeline(f"{SERVICE}.{name}", sourceConfig=SOURCE_CONFIG, airflowConfig={})
    connection = {
        "clusterName": "openmetadata",
        "type": "OpenMetadata",
        "hostPort": host_port,
        "authProvider": "openmetadata",
        "verifySSL": "no-ssl",
        "securityConfig": {"jwtToken": token},
    }
    return {**body, "openMetadataServerConnection": connection}


def get_json(host: str, port: int, path: str) -> Any:
    """What a path answers, decoded; None unless it answers 200 with JSON."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.loads(response.read()) if response.status == 200 else None  # noqa: PLR2004
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_healthy(host: str, port: int) -> bool:
    """Whether the REST interface reports that all is well."""
    answer = get_json(host, port, HEALTH)
    return isinstance(answer, dict) and answer.get("status") == "healthy"
