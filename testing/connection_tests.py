"""Tests of connections as a person starts them in OpenMetadata's dialog, and the warm pool that makes them fast."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from testing import manifests
from testing.install import wait_for_rollout
from testing.installation import SERVICE, Installation
from testing.postgres.process import connection
from testing.server_client import ServerClient
from testing.waiting import wait_for

WARM = "ingestion.openmetadata.org/warm-pool=automations"
GATEWAY = "ingestion-gateway"


def run_connection_test(
    installation: Installation, server: ServerClient, name: str, password: str | None = None
) -> tuple[float, dict[str, Any]]:
    """Test the connection to the seeded database, with another password if one is given.

    Return the seconds from the gateway's call to the last step's result at the server, and the automation.
    """
    request = {
        "connection": connection(
            f"{manifests.POSTGRES}:{manifests.POSTGRES_PORT}", password or installation.credentials.password
        ),
        "serviceType": "Database",
        "connectionType": "Postgres",
        "serviceName": SERVICE,
        "secretsManagerProvider": "db",
    }
    document = installation.fake_server.register_automation(name, request)
    body = document | {"openMetadataServerConnection": server_connection(installation.credentials.token)}
    installation.fake_server.clear_calls()
    began = time.time()
    server.change("POST", "run_automation", body=body).message  # noqa: B018  asserts the success
    found = wait_for(
        "the result",
        lambda: (
            got if (got := installation.fake_server.automation(name))["status"] in ("Successful", "Failed") else None
        ),
        timeout=120,
    )
    ended = float(installation.fake_server.calls(method="PATCH", path="/automations/workflows/")[-1]["at"])
    return ended - began, found


def server_connection(token: str) -> dict[str, Any]:
    """The server connection."""
    return {
        "clusterName": "openmetadata",
        "type": "OpenMetadata",
        "hostPort": f"http://{manifests.FAKE_OPENMETADATA}:{manifests.FAKE_OPENMETADATA_PORT}/api",
        "authProvider": "openmetadata",
        "verifySSL": "no-ssl",
        "securityConfig": {"jwtToken": token},
    }


@contextmanager
def gateway_with_pool(installation: Installation, size: int, **credentials: str) -> Iterator[ServerClient]:
    """A server in front of the installed gateway with a warm pool of `size`, once that is as it should be."""
    set_pool(installation, size)
    wait_for_pool(installation, size)
    with installation.cluster.forward(installation.namespace, GATEWAY, 8080) as port:
        client = ServerClient.new(port, **credentials)
        yield client
        client.close()


def set_pool(installation: Installation, size: int) -> None:
    """Change the setting, and restart the gateway: by itself it would know when the kubelet has brought it."""
    live = installation.get("configmap", "ingestion-operator-settings")
    assert live is not None
    settings = yaml.safe_load(live["data"]["settings.yaml"]) | {"warmAutomations": size}
    metadata = {"name": live["metadata"]["name"]}
    data = {"settings.yaml": yaml.safe_dump(settings)}
    installation.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    installation.kubectl("rollout", "restart", f"deployment/{GATEWAY}")
    wait_for_rollout(installation.cluster, installation.namespace, GATEWAY)
    # A port is forwarded to any pod of the Service, also to one that is about to end.
    selector = f"app.kubernetes.io/name={GATEWAY}"
    wait_for("the old gateway to go", lambda: len(installation.list("pods", selector)) == 1, timeout=60)


def wait_for_pool(installation: Installation, size: int) -> None:
    """Wait until so many pods are ready to take an automation."""
    wait_for(f"a warm pool of {size}", lambda: len(ready_pods(installation)) == size, timeout=120)


def ready_pods(installation: Installation) -> list[str]:
    """The names of the warm pods whose port is open, and that have not been given anything."""
    waiting = {
        job["metadata"]["name"]
        for job in installation.list("jobs", WARM)
        if "ingestion.openmetadata.org/claimed-at" not in job["metadata"]["annotations"]
    }
    return [
        pod["metadata"]["name"]
        for pod in installation.list("pods", WARM)
        if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] in waiting
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]
