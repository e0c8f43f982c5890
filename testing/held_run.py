"""A run that prints lines until it gets the order to end: an application in the runner's pod."""

import json
import re
from typing import Any

from testcluster.handle import Cluster
from testing import chatty, entities
from testing.fake_openmetadata_client import FakeServerClient
from testing.install import GATEWAY
from testing.server_client import ServerClient
from testing.waiting import wait_for

NAME = "held"
SERVICE = "OpenMetadata"
FQN = f"{SERVICE}.{NAME}"

_END = "/tmp/end"
_LINE = re.compile(r"held for (\d+) tenths of a second$", re.MULTILINE)

_SOURCE = """
import time
from pathlib import Path

from metadata.workflow.application import AppRunner


class Held(AppRunner):
    def run(self):
        tenths = 0
        while not Path("END").exists():
            print(f"held for {tenths} tenths of a second", flush=True)
            tenths += 1
            time.sleep(0.1)

    def close(self):
        pass
"""


def config_map(namespace: str) -> dict[str, Any]:
    """The ConfigMap with the module; the layer `chatty.layer()` mounts it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": chatty.CONFIG_MAP, "namespace": namespace},
        "data": {"held.py": _SOURCE.replace("END", _END).lstrip()},
    }


def entity() -> dict[str, Any]:
    """What a server sends to deploy its pipeline."""
    source = {"type": "Application", "sourcePythonClass": "held.Held", "appConfig": {"sleep": 0, "echo": "hello"}}
    body = entities.entity(
        NAME,
        service=SERVICE,
        pipelineType="application",
        sourceConfig={"config": source},
        airflowConfig={},
    )
    return body | {"service": {"id": "1", "type": "metadataService", "name": SERVICE}}


def register(fake_server: FakeServerClient) -> None:
    """Make OpenMetadata know the pipeline."""
    fake_server.register_service(SERVICE, "OpenMetadata", kind="metadata")
    fake_server.register_pipeline(FQN, pipelineType="application")


def start(cluster: Cluster, namespace: str, username: str, password: str) -> str:
    """Make a server start it through the gateway; return the name of its pod, once its log has a line."""

    def working() -> str:
        selector = "app.kubernetes.io/managed-by=ingestion-operator"
        text = cluster.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json")
        for pod in json.loads(text)["items"]:
            name = str(pod["metadata"]["name"])
            if pod["status"]["phase"] == "Running" and lines_in(cluster.kubectl("-n", namespace, "logs", name)):
                return name
        return ""

    with cluster.forward(namespace, GATEWAY, 8080) as port:
        server = ServerClient.new(port, username=username, password=password)
        assert server.deploy(entity()).message
        assert server.trigger(NAME).message
        server.close()
    return wait_for("the run to work", working, timeout=60)


def end(cluster: Cluster, namespace: str, pod: str) -> None:
    """Make the run in that pod end."""
    cluster.kubectl("-n", namespace, "exec", pod, "--", "touch", _END)


def lines_in(log: str) -> list[int]:
    """The numbers of the lines that it has said."""
    return [int(number) for number in _LINE.findall(log)]
