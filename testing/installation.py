"""One namespace with all that a run needs: the operator, a fake OpenMetadata server, a seeded PostgreSQL."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testing import manifests
from testing.fake_openmetadata_client import FakeServerClient
from testing.install import apply, install, wait_for_rollout
from testing.postgres.process import connection
from testing.waiting import wait_for

OWN = "ingestion.openmetadata.org/test"
"""Label of the namespaces that tests and demo have made, and may remove with all that is in them."""

SERVICE = "shop"
TOKEN_SECRET = {"name": "ingestion-bot", "key": "token"}
SOURCE_CONFIG: dict[str, Any] = {
    "config": {
        "type": "DatabaseMetadata",
        # Without it the connector catalogues PostgreSQL's own information_schema too.
        "schemaFilterPattern": {"excludes": ["^information_schema$"]},
    }
}


@dataclass(frozen=True)
class Credentials:
    """What must be found nowhere but in Secrets."""

    token: str
    password: str

    @classmethod
    def random(cls) -> "Credentials":
        """Values that occur nowhere else."""
        return cls(token=f"eyJ{secrets.token_hex(24)}", password=f"pw-{secrets.token_hex(16)}")


@dataclass(frozen=True)
class Installation:
    """The namespace, how to reach its fake server, and the credentials in use."""

    cluster: Cluster
    namespace: str
    fake_server: FakeServerClient
    credentials: Credentials
    images: dict[str, str]

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """kubectl in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, timeout=timeout)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects; those without a namespace go to this one."""
        apply(
            self.cluster,
            *({**body, "metadata": {"namespace": self.namespace, **body["metadata"]}} for body in objects),
        )

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        answer = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        return dict(json.loads(answer)) if answer.strip() else None

    def list(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind that carry the labels of `selector`."""
        answer = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))
        return list(answer["items"])

    def status(self, pipeline: str) -> dict[str, Any]:
        """The pipeline's status, empty before its first one."""
        return dict((self.get("omip", pipeline) or {}).get("status", {}))

    def condition(self, pipeline: str, kind: str) -> dict[str, Any]:
        """The pipeline's condition of that type, empty if it has none."""
        found = (c for c in self.status(pipeline).get("conditions", []) if c["type"] == kind)
        return next(found, {})

    def run(self, pipeline: str, run_id: str) -> dict[str, Any]:
        """The record of a run in the pipeline's status, empty if it is not there."""
        found = (run for run in self.status(pipeline).get("runs", []) if run["id"] == run_id)
        return next(found, {})

    def start_run(self, pipeline: str, job: str) -> str:
        """Start a run as kubectl's users do; return the Job's UID."""
        cronjob = wait_for("the CronJob", lambda: self.status(pipeline).get("cronJobName"), timeout=30)
        self.kubectl("create", "job", job, f"--from=cronjob/{cronjob}")
        return str(self.kubectl("get", "job", job, "-o", "jsonpath={.metadata.uid}"))

    def wait_for_end(self, pipeline: str, run_id: str, *, timeout: float = 120) -> dict[str, Any]:
        """Wait until the operator has recorded the run's end; return the record."""
        return wait_for(
            f"the end of run {run_id} of {pipeline}",
            lambda: run if (run := self.run(pipeline, run_id)).get("endTime") else None,
            timeout=timeout,
        )


def pipeline(name: str, *, service: str = SERVICE, **changes: Any) -> dict[str, Any]:
    """An IngestionPipeline that catalogues the seeded database on demand; `changes` replace parts of the spec."""
    spec = {
        "pipelineType": "metadata",
        "service": {"type": "databaseService", "name": service},
        "sourceConfig": SOURCE_CONFIG,
        "server": {
            "hostPort": f"http://{manifests.FAKE_OPENMETADATA}:{manifests.FAKE_OPENMETADATA_PORT}/api",
            "version": "2.0",
            "tokenSecretRef": TOKEN_SECRET,
        },
        "podTemplate": {"container": {"resources": {"requests": {"cpu": "100m"}}}},
    }
    return {
        "apiVersion": "ingestion.openmetadata.org/v1alpha1",
        "kind": "IngestionPipeline",
        "metadata": {"name": name},
        "spec": {key: value for key, value in (spec | changes).items() if value is not None},
    }


def secret(name: str, key: str, value: str) -> dict[str, Any]:
    """A Secret with one key."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}


@contextmanager
def open_installation(
    cluster: Cluster,
    namespace: str,
    images: dict[str, str],
    credentials: Credentials,
    installer: Callable[..., None] = install,
    /,
    **changes_of_settings: Any,
) -> Iterator[Installation]:
    """Install everything into `namespace` (again, if need be) and hold the way to the fake OpenMetadata server open."""
    installer(cluster, namespace, images, **changes_of_settings)
    cluster.kubectl("label", "namespace", namespace, "--overwrite", f"{OWN}=installation")
    servers = manifests.fake_openmetadata(
        namespace, images["fake-openmetadata"], token=credentials.token
    ) + manifests.postgres(namespace, images["postgres"], password=credentials.password)
    apply(cluster, *servers)
    for deployment in (manifests.FAKE_OPENMETADATA, manifests.POSTGRES):
        wait_for_rollout(cluster, namespace, deployment)
    with cluster.forward(namespace, manifests.FAKE_OPENMETADATA, manifests.FAKE_OPENMETADATA_PORT) as port:
        installation = Installation(
            cluster, namespace, FakeServerClient(f"http://127.0.0.1:{port}"), credentials, images
        )
        installation.apply(secret(TOKEN_SECRET["name"], TOKEN_SECRET["key"], credentials.token))
        register_service(installation, SERVICE, credentials.password)
        yield installation


def register_service(installation: Installation, name: str, password: str) -> None:
    """Make the fake OpenMetadata server know a service that is the seeded database."""
    host = f"{manifests.POSTGRES}:{manifests.POSTGRES_PORT}"
    installation.fake_server.register_service(name, "Postgres", connection(host, password))


def remove(cluster: Cluster, namespace: str) -> None:
    """Delete the namespace and wait until it is gone."""
    try:
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=90s", timeout=100)
    except CommandError as error:
        raise AssertionError(f"namespace {namespace} does not go away: {error}") from error
