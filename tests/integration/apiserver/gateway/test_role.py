"""The Role of manifests/gateway.yaml: enough, and not more than enough."""

from pathlib import Path
from typing import Any

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.pipeline_service.health import PERMISSIONS
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES
from testcluster.handle import Cluster
from testing.audit import Audit, Right, granted
from testing.entities import entity, token
from testing.gateway_process import ACCOUNT, GatewayProcess
from testing.server_client import ServerClient
from testing.waiting import wait_for
from tests.integration.apiserver.gateway.conftest import StartGateway

RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"

NEEDS_A_POD: set[Right] = {("", "pods/log", "get")}
"""What is only called once a run has a pod, which this ring has not."""


def _roles(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [body for body in manifests if body["kind"] == "Role"]


def test_the_role_has_what_the_client_checks_for(manifests: list[dict[str, Any]]) -> None:
    assert granted(_roles(manifests)) == {
        (kind.api_version.rpartition("/")[0], f"{kind.plural}/{part}" if part else kind.plural, verb)
        for kind, part, verbs in PERMISSIONS
        for verb in verbs
    }


def _do_everything(gateway: GatewayProcess, cluster: Cluster, namespace: str) -> None:
    server = ServerClient.new(gateway.port)
    assert server.deploy(entity(jwt=token(serial=1))).message
    assert server.deploy(entity(jwt=token(serial=2), displayName="Later")).message
    assert server.disable("nightly").message
    assert server.enable("nightly").message
    for _ in range(2):
        assert server.trigger("nightly", {"pipelineRunId": RUN}).message
    assert server.trigger("nightly", {"sourceConfigOverride": {"includeTables": False}}).message
    assert len(server.queued("nightly").json) == 2
    assert server.logs("nightly").code == 200
    assert server.kill("nightly").message
    assert server.delete("nightly").message
    assert server.deploy(entity("orphaned")).message
    pipeline = f"omip/{resource_name('orphaned')}"
    cluster.kubectl("-n", namespace, "delete", pipeline, "--cascade=orphan", "--wait=true")
    assert server.delete("orphaned").message
    assert gateway.manage("/status")[0] == 503
    server.close()


def test_the_gateway_uses_exactly_the_rules_of_its_role(
    cluster: Cluster,
    api: KubernetesCluster,
    namespace: str,
    start: StartGateway,
    kubeconfig: Path,
    manifests: list[dict[str, Any]],
) -> None:
    audit = Audit(cluster)
    with start(kubeconfig=kubeconfig) as gateway:
        _do_everything(gateway, cluster, namespace)
    expected = granted(_roles(manifests)) - NEEDS_A_POD

    def used() -> set[Right]:
        return {call.right for call in audit.calls(namespace, ACCOUNT)}

    wait_for("the calls in the audit log", lambda: used() >= expected, timeout=20)
    assert used() == expected
    assert [call for call in audit.calls(namespace, ACCOUNT) if call.code == 403] == []
    wait_for("the end", lambda: api.list(PIPELINES, namespace, {}) == [], timeout=60)
