"""Where cases are played: an installed operator, a fake OpenMetadata server, and the sources."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from testing import manifests
from testing import site as sites
from testing.installation import apply, install_gateway, wait_for_rollout
from testing.postgres.process import connection
from testing.server_client import ServerClient
from testing.site import SERVICE, Site
from testing.waiting import wait_for
from tests.scenarios.types import sources
from tests.scenarios.types.case import Seen

RUN_SECONDS: Final = 240.0
_GATEWAY: Final = {"username": "admin", "password": "only-for-the-types"}


@dataclass(frozen=True)
class Stage:
    """What all cases share."""

    site: Site
    gateway_port: int | None = None
    """Where a gateway can be reached, if one is installed."""

    @property
    def connection(self) -> dict[str, Any]:
        """The right connection to PostgreSQL."""
        return self.connection_with(self.site.credentials.password)

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
        """Run a pipeline once, over a connection from a Secret if one is given; the server must have been told so."""
        site, source_config = self.site, {"config": dict(config)}
        fqn = spec.setdefault("fullyQualifiedName", f"{service['name']}.{name}")
        site.fake_server.register_pipeline(fqn, pipelineType=pipeline_type, sourceConfig=source_config)
        if connection is not None:
            site.apply(sites.secret(f"{name}-connection", "connection.json", json.dumps(connection)))
            spec["connectionSecretRef"] = {"name": f"{name}-connection", "key": "connection.json"}
        body = sites.pipeline(name, pipelineType=pipeline_type, sourceConfig=source_config)
        site.apply({**body, "spec": {**body["spec"], "service": dict(service), **spec}})
        wait_for("the CronJob", lambda: site.status(name).get("cronJobName"), timeout=30)
        triggered = time.monotonic()
        run_id = site.start_run(name, f"{name}-1")
        record = site.wait_for_end(name, run_id, timeout=RUN_SECONDS)
        seconds = time.monotonic() - triggered
        told = [row["terminalStates"] for row in site.fake_server.runs(fqn) if row["runId"] == run_id]
        assert told == [[record["state"]]], f"{fqn}: the server was told {told}, the status says {record}"
        return self._seen(f"{name}-1", record["state"], record["reason"], record.get("message", ""), seconds)

    def table(self, fqn: str) -> dict[str, Any]:
        """A table that the server knows."""
        return next(one for one in self.site.fake_server.entities("tables") if one["fullyQualifiedName"] == fqn)

    def _seen(self, job: str, state: str, reason: str, message: str, seconds: float) -> Seen:
        (pod,) = self.site.list("pods", f"batch.kubernetes.io/job-name={job}")
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        log = self.site.kubectl("logs", f"pod/{pod['metadata']['name']}")
        return Seen(state, reason, message, seconds, json.loads(ended["message"]).get("peakMemory"), log)

    def try_connection(self, name: str, config: Mapping[str, Any]) -> Seen:
        """Have a connection tested as OpenMetadata's dialog does; the reason is the first step that failed."""
        assert self.gateway_port is not None, "there is no gateway on this stage"
        site, server = self.site, ServerClient.new(self.gateway_port, **_GATEWAY)
        request = {"connection": {"config": dict(config)}, "serviceType": "Database", "connectionType": config["type"]}
        document = site.fake_server.register_automation(name, {**request, "secretsManagerProvider": "db"})
        body = {**document, "openMetadataServerConnection": self._server_connection()}
        triggered = time.monotonic()
        server.change("POST", "run_automation", body=body).message  # noqa: B018  asserts that it is a success
        server.close()
        found = wait_for(
            "the result",
            lambda: got if (got := site.fake_server.automation(name))["status"] in ("Successful", "Failed") else None,
            timeout=RUN_SECONDS,
        )
        seconds = time.monotonic() - triggered
        failed: dict[str, Any] = next((step for step in found["response"]["steps"] if not step["passed"]), {})
        words = f"{failed.get('message', '')} {failed.get('errorLog', '')}"
        job = wait_for("the end of the pod", lambda: self._ended_job(name), timeout=30)
        return self._seen(job, found["status"], failed.get("name", ""), words, seconds)

    def _ended_job(self, entity_name: str) -> str | None:
        for job in self.site.list("jobs", "ingestion.openmetadata.org/one-off=automation"):
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
            "securityConfig": {"jwtToken": self.site.credentials.token},
        }


def open_stage_on(site: Site) -> Stage:
    """Bring what the quick cases need to a site that is there."""
    apply(
        site.cluster,
        *manifests.files(site.namespace, site.images["fake-openmetadata"], {"openapi.json": sources.OPENAPI}),
    )
    wait_for_rollout(site.cluster, site.namespace, manifests.FILES)
    for name, kind, service_type in sources.SERVICES:
        site.fake_server.register_service(name, service_type, kind=kind)
    site.fake_server.clear_calls()
    return Stage(site)


@contextmanager
def open_whole_stage_on(site: Site) -> Iterator[Stage]:
    """Bring what all cases need: also MariaDB and a gateway."""
    password = site.credentials.password
    apply(site.cluster, *manifests.mariadb(site.namespace, site.images["mariadb"], password=password))
    wait_for_rollout(site.cluster, site.namespace, manifests.MARIADB)
    install_gateway(site.cluster, site.namespace, site.images, **_GATEWAY)
    stage = open_stage_on(site)
    with site.cluster.forward(site.namespace, "ingestion-gateway", 8080) as port:
        yield Stage(stage.site, port)
