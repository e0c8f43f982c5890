"""The first thing that anybody does with an installation: run a pipeline from OpenMetadata."""

import json
import ssl
import uuid
from typing import Any

from testcluster.handle import Cluster
from testing.entities import entity, token
from testing.install import GATEWAY
from testing.server_client import ServerClient
from testing.waiting import wait_for


def run_a_pipeline(
    cluster: Cluster,
    namespace: str,
    username: str,
    password: str,
    *,
    gateway: tuple[str, int] = (GATEWAY, 8080),
    tls: ssl.SSLContext | None = None,
    runs_in: str = "",
    account: str = "ingestion-runner",
) -> None:
    """As a server that has the gateway's address: deploy, trigger, kill, delete. The pod has no permissions.

    `gateway` is its Service in `namespace` and the port; its runs are in `runs_in`, if that is another namespace.
    """

    def started() -> list[dict[str, Any]]:
        selector = "app.kubernetes.io/managed-by=ingestion-operator,!ingestion.openmetadata.org/warm-pool"
        text = cluster.kubectl("-n", runs_in or namespace, "get", "pods", "-l", selector, "-o", "json")
        statuses = [(pod, pod["status"].get("containerStatuses", [])) for pod in json.loads(text)["items"]]
        return [pod for pod, containers in statuses if any("running" in one["state"] for one in containers)]

    with cluster.forward(namespace, *gateway) as port:
        server = ServerClient.new(port, username=username, password=password, tls=tls)
        assert server.deploy(entity(jwt=token(serial=1))).message
        assert server.trigger("nightly", {"pipelineRunId": str(uuid.uuid4())}).message
        (pod,) = wait_for("the run's pod to run", started, timeout=60)
        assert pod["spec"]["serviceAccountName"] == account
        assert not [volume for volume in pod["spec"]["volumes"] if "projected" in volume], "a token is mounted"
        assert server.kill("nightly").message
        assert server.delete("nightly").message
        server.close()
