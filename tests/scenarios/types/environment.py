"""Where cases run: an installed operator, a fake OpenMetadata server, and the sources."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from testing import installation as installations
from testing import manifests
from testing.install import apply, install_gateway, wait_for_rollout
from testing.installation import SERVICE, Installation
from testing.postgres.process import connection
from testing.server_client import ServerClient
from testing.waiting import wait_for
from tests.scenarios.types import sources
from tests.scenarios.types.case import Seen

RUN_SECONDS: Final = 240.0
_GATEWAY: Final = {"username": "admin", "password": "only-for-the-types"}


@dataclass(frozen=True)
class Environment:
    """What all cases share."""

    installation: Installation
    gateway_port: int | None = None
    """Where a gateway can be reached, if one is installed."""

    @property
    def connection(self) -> dict[str, Any]:
        """The right connection to PostgreSQL."""
        return self.connection_with(self.installation.credentials.password)

    def connection_with(self, password: str) -> dict[str, Any]:
        """A connection to PostgreSQL."""
        config = connection(f"{manifests.POSTGRES}:{manifests.POSTGRES_PORT}", password)["config"]
        return dict(config)

    def run(
        self,
        name: str,
        pipeline_type: str,
        config: Mapping[str, Any],
        *,
        service: Mapping[str, str] = {"type": "databaseService", "name": SERVICE},
        connection: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Seen:
        """Run a pipeline once, over a connection from a Secret if given; the server must have received the end."""
        installation, source_config = self.installation, {"config": dict(config)}
        fqn = spec.setdefault("fullyQualifiedName", f"{service['name']}.{name}")
        installation.fake_server.register_pipeline(fqn, pipelineType=pipeline_type, sourceConfig=source_config)
        if connection is not None:
            installation.apply(installations.secret(f"{name}-connection", "connection.json", json.dumps(connection)))
            spec["connectionSecretRef"] = {"name": f"{name}-connection", "key": "connection.json"}
        body = installations.pipeline(name, pipelineType=pipeline_type, sourceConfig=source_config)
        installation.apply({**body, "spec": {**body["spec"], "service": dict(service), **spec}})
        wait_for("the CronJob", lambda: installation.status(name).get("cronJobName"), timeout=30)
        triggered = time.monotonic()
        run_id = installation.start_run(name, f"{name}-1")
        record = installation.wait_for_end(name, run_id, timeout=RUN_SECONDS)
        seconds = time.monotonic() - triggered
        reported = [row["terminalStates"] for row in installation.fake_server.runs(fqn) if row["runId"] == run_id]
        assert reported == [[record["state"]]], f"{fqn}: the server received {reported}, the status has {record}"
        return self._seen(f"{name}-1", record["state"], record["reason"], record.get("message", ""), seconds)

    def table(self, fqn: str) -> dict[str, Any]:
        """A table that the server knows."""
        return next(one for one in self.installation.fake_server.entities("tables") if one["fullyQualifiedName"] == fqn)

    def _seen(self, job: str, state: str, reason: str, message: str, seconds: float) -> Seen:
        (pod,) = self.installation.list("pods", f"batch.kubernetes.io/job-name={job}")
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        log = self.installation.kubectl("logs", f"pod/{pod['metadata']['name']}")
        return Seen(state, reason, message, seconds, json.loads(ended["message"]).get("peakMemory"), log)

    def try_connection(self, name: str, config: Mapping[str, Any]) -> Seen:
        """Have a connection tested as OpenMetadata's dialog does; the reason is the first step that failed."""
        assert self.gateway_port is not None, "this environment has no gateway"
        installation, server = self.installation, ServerClient.new(self.gateway_port, **_GATEWAY)
        request = {"connection": {"config": dict(config)}, "serviceType": "Database", "connectionType": config["type"]}
        document = installation.fake_server.register_automation(name, {**request, "secretsManagerProvider": "db"})
        body = {**document, "openMetadataServerConnection": self._server_connection()}
        triggered = time.monotonic()
        server.change("POST", "run_automation", body=body).message  # noqa: B018  asserts that it is a success
        server.close()
        found = wait_for(
            "the result",
            lambda: (
                got
                if (got := installation.fake_server.automation(name))["status"] in ("Successful", "Failed")
                else None
            ),
            timeout=RUN_SECONDS,
        )
        seconds = time.monotonic() - triggered
        failed: dict[str, Any] = next((step for step in found["response"]["steps"] if not step["passed"]), {})
        words = f"{failed.get('message', '')} {failed.get('errorLog', '')}"
        job = wait_for("the end of the pod", lambda: self._ended_job(name), timeout=30)
        return self._seen(job, found["status"], failed.get("name", ""), words, seconds)

    def _ended_job(self, entity_name: str) -> str | None:
        for job in self.installation.list("jobs", "ingestion.openmetadata.org/one-off=automation"):
            named = job["metadata"]["annotations"]["ingestion.openmetadata.org/entity-name"]
            if named == entity_name and job.get("status", {}).get("succeeded"):
                return str(job["metadata"]["name"])
        return None

    def _server_connection(self) -> dict[str, Any]:
        return {
            "clusterName": "openmetadata",
            "type": "OpenMetadata",
            "hostPort": f"http://{manifests.FAKE_OPENMETADATA}:{manifests.FAKE_OPENMETADATA_PORT}/api",
            "authProvider": "openmetadata",
            "verifySSL": "no-ssl",
            "securityConfig": {"jwtToken": self.installation.credentials.token},
        }


def open_environment(installation: Installation) -> Environment:
    """Bring what the quick cases need to an installation that is there."""
    apply(
        installation.cluster,
        *manifests.files(
            installation.namespace, installation.images["fake-openmetadata"], {"openapi.json": sources.OPENAPI}
        ),
    )
    wait_for_rollout(installation.cluster, installation.namespace, manifests.FILES)
    for name, kind, service_type in sources.SERVICES:
        installation.fake_server.register_service(name, service_type, kind=kind)
    installation.fake_server.clear_calls()
    return Environment(installation)


@contextmanager
def open_whole_environment(installation: Installation) -> Iterator[Environment]:
    """Bring what all cases need: also MariaDB and a gateway."""
    password = installation.credentials.password
    apply(
        installation.cluster,
        *manifests.mariadb(installation.namespace, installation.images["mariadb"], password=password),
    )
    wait_for_rollout(installation.cluster, installation.namespace, manifests.MARIADB)
    install_gateway(installation.cluster, installation.namespace, installation.images, **_GATEWAY)
    environment = open_environment(installation)
    with installation.cluster.forward(installation.namespace, "ingestion-gateway", 8080) as port:
        yield Environment(environment.installation, port)
