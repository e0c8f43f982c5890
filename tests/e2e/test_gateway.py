"""An OpenMetadata server that knows nothing but the gateway's address."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import manifests
from tests.support.installation import install_gateway
from tests.support.server_client import ServerClient
from tests.support.site import SERVICE, SOURCE_CONFIG, Site
from tests.support.waiting import wait_for

NAME = "Täglich: shop / metadata"
FQN = f"{SERVICE}.{NAME}"
PASSWORD = "only-for-this-suite"


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[ServerClient]:
    """A server of today in front of the installed gateway."""
    install_gateway(site.cluster, site.namespace, site.images, username="admin", password=PASSWORD)
    with site.cluster.forward(site.namespace, "ingestion-gateway", 8080) as port:
        client = ServerClient.new(port, username="admin", password=PASSWORD)
        yield client
        client.close()


def entity(site: Site, **changes: Any) -> dict[str, Any]:
    """What a server sends on deploy."""
    return {
        "id": "0c0ffee0-0000-4000-8000-000000000001",
        "name": NAME,
        "displayName": "Shop metadata",
        "fullyQualifiedName": FQN,
        "pipelineType": "metadata",
        "service": {"id": "0c0ffee0-0000-4000-8000-000000000002", "type": "databaseService", "name": SERVICE},
        "sourceConfig": SOURCE_CONFIG,
        "openMetadataServerConnection": {
            "clusterName": "openmetadata",
            "type": "OpenMetadata",
            "hostPort": f"http://{manifests.DOUBLE}:{manifests.DOUBLE_PORT}/api",
            "authProvider": "openmetadata",
            "verifySSL": "no-ssl",
            "securityConfig": {"jwtToken": site.credentials.token},
        },
        "airflowConfig": {"scheduleInterval": "0 2 * * *", "pipelineTimezone": "UTC", "retries": 0, "maxActiveRuns": 1},
        "enabled": True,
        "deployed": False,
        **changes,
    }


def states(server: ServerClient) -> dict[str, str]:
    """The state of each run that the gateway lists."""
    listed = server.read("status", {"dag_id": NAME})
    assert listed.code == 200, listed.body
    return {run["runId"]: run["pipelineState"] for run in listed.json}


def log_text(server: ServerClient) -> str:
    """The first page of the last run's log, empty while there is none."""
    reply = server.logs(NAME)
    return str(reply.json["ingestion_task"]) if reply.code == 200 else ""


def pipeline_of(site: Site) -> str:
    """The name of the resource that the gateway made."""
    found = [body for body in site.list("omip") if body["spec"].get("fullyQualifiedName") == FQN]
    return str(found[0]["metadata"]["name"]) if found else ""


def test_server_drives_a_pipeline_by_the_gateway_alone(site: Site, server: ServerClient) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())

    # Deployed is ready to be triggered, at once.
    server.deploy(entity(site)).message  # noqa: B018  the property asserts that it is a success
    server.trigger(NAME, {"pipelineRunId": first}).message  # noqa: B018
    assert first in states(server)

    # Queued until it reports, then running, its log to be read meanwhile.
    wait_for("the first run to run", lambda: states(server)[first] == "running", timeout=60)
    assert first not in [run["runId"] for run in server.queued(NAME).json]
    wait_for("its log", lambda: "loading openmetadata-ingestion" in log_text(server), timeout=30)

    # A second one waits for its turn.
    server.trigger(NAME, {"pipelineRunId": second}).message  # noqa: B018
    assert states(server)[second] == "queued"
    assert [run["runId"] for run in server.queued(NAME).json] == [second]
    wait_for("the first run's success", lambda: states(server)[first] == "success", timeout=90)
    assert site.double.wait_for_run(FQN, timeout=5, run_id=first)["state"] == "success"

    # Kill ends its pod, keeps it listed, and the server learns of it.
    wait_for("the second run's row", lambda: {"running"} & {r["state"] for r in site.double.runs(FQN)}, timeout=90)
    server.kill(NAME).message  # noqa: B018
    name = pipeline_of(site)
    selector = f"ingestion.openmetadata.org/pipeline={site.status(name)['cronJobName']}"

    def running_pods() -> list[str]:
        return [pod["metadata"]["name"] for pod in site.list("pods", selector) if pod["status"]["phase"] == "Running"]

    wait_for("the pod to be gone", lambda: not running_pods(), timeout=40)
    killed = site.wait_for_end(name, second, timeout=20)
    assert (killed["state"], killed["reason"]) == ("stopped", "Killed")
    assert states(server)[second] in ("stopped", "failed")
    assert site.double.wait_for_run(FQN, timeout=10, run_id=second)["state"] == "failed"
    assert server.kill(NAME).code == 404

    # Its log is there to its last line, though the pod has gone.
    wait_for("the killed run's pod to go", lambda: len(site.list("pods", selector)) == 1, timeout=20)
    wait_for("its last line", lambda: "[runner] failed (Interrupted)" in log_text(server), timeout=30)
    assert "lines may be missing" not in log_text(server)

    # A pause outlives a deploy.
    server.disable(NAME).message  # noqa: B018
    server.deploy(entity(site, enabled=False, displayName="Shop metadata, paused")).message  # noqa: B018
    assert site.get("omip", name)["spec"]["suspend"] is True  # type: ignore[index]
    server.enable(NAME).message  # noqa: B018
    wait_for("the schedule to go on", lambda: site.condition(name, "Scheduled").get("status") == "True", timeout=15)

    # Nothing that arrived secret stands anywhere but in a Secret.
    kinds = ("omip", "cronjobs", "jobs", "pods", "events", "configmaps")
    texts = {kind: site.kubectl("get", kind, "-o", "yaml", "--show-managed-fields") for kind in kinds}
    texts["gateway log"] = site.kubectl("logs", "deployment/ingestion-gateway", "--all-pods")
    for value in (site.credentials.token, PASSWORD):
        assert [where for where, text in texts.items() if value in text] == []

    # Deleted leaves nothing behind.
    server.delete(NAME).message  # noqa: B018
    server.delete(NAME).message  # noqa: B018

    def left() -> list[str]:
        return [
            f"{body['kind']}/{body['metadata']['name']}"
            for kind in ("omip", "cronjobs", "jobs", "pods", "secrets")
            for body in site.list(kind)
            if name in json.dumps(body["metadata"])
        ]

    wait_for("everything to be gone", lambda: not left(), timeout=60)
    assert server.read("status", {"dag_id": NAME}).code == 404


def test_gateway_reports_the_version_of_the_runner_image(server: ServerClient) -> None:
    assert server.read("health-auth").json == {"status": "healthy", "version": "2.0.6.0"}


def test_gateway_refuses_a_wrong_password(server: ServerClient) -> None:
    reply = server.send("GET", f"{server.root}/health-auth", headers={"Authorization": "Basic YWRtaW46d3Jvbmc="})
    assert reply.code == 401
