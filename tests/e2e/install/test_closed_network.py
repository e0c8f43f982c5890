"""The chart's NetworkPolicies, enforced: what gets through, from real pods, beside a policy that refuses all else.

Two namespaces: that of the release, where nothing goes in or out unless a policy lets it through, and that of the
servers, which is open. For what comes in to runs that policy does not hold: the chart has to refuse it by itself.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from ingestion_operator.constants import LABEL_MANAGED_BY, LABEL_WARM_POOL, LEASE_NAME, MANAGED_BY
from testcluster import images
from testcluster.handle import Cluster
from testing import manifests
from testing.entities import entity
from testing.fake_openmetadata_client import FakeServerClient
from testing.helm import Helm
from testing.install import GATEWAY, apply, wait_for_rollout
from testing.installation import OWN, SERVICE, SOURCE_CONFIG, Credentials, remove
from testing.postgres.process import connection
from testing.reach import Reach
from testing.release import RELEASE, built_images
from testing.server_client import ServerClient
from testing.waiting import wait_for

NAMESPACE: Final = "install-closed"
SERVERS: Final = "install-closed-servers"
OPENMETADATA: Final = f"{manifests.FAKE_OPENMETADATA}.{SERVERS}:{manifests.FAKE_OPENMETADATA_PORT}"
DATABASE: Final = f"{manifests.POSTGRES}.{SERVERS}:{manifests.POSTGRES_PORT}"
ELSEWHERE: Final = f"{manifests.FILES}.{SERVERS}:{manifests.FILES_PORT}"
API_SERVER: Final = "kubernetes.default:443"
GATEWAY_PORT, MANAGEMENT_PORT, OPERATOR_PORT, WARM_PORT = 8080, 8081, 8080, 8443

_SETTINGS: Final = {"warmAutomations": 1, "podTemplate": {"container": {"resources": {"requests": {"cpu": "100m"}}}}}


def from_server(name: str) -> dict[str, Any]:
    """One of the servers, as a peer of a NetworkPolicy."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SERVERS}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }


def policy(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A NetworkPolicy beside the release's."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


NO_RUN: Final = {"key": LABEL_MANAGED_BY, "operator": "NotIn", "values": [MANAGED_BY]}
NOTHING_ELSE: Final = policy(
    "nothing-else", {"podSelector": {"matchExpressions": [NO_RUN]}, "policyTypes": ["Ingress", "Egress"]}
)
# What docs/operations/security.md adds where egress is denied.
RUNS_TO_THEIR_SOURCES: Final = policy(
    "runs-to-their-sources",
    {
        "podSelector": {"matchLabels": {LABEL_MANAGED_BY: MANAGED_BY}},
        "policyTypes": ["Egress"],
        "egress": [
            {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
            {"to": [from_server(manifests.FAKE_OPENMETADATA)], "ports": [{"port": manifests.FAKE_OPENMETADATA_PORT}]},
            {"to": [from_server(manifests.POSTGRES)], "ports": [{"port": manifests.POSTGRES_PORT}]},
        ],
    },
)

_ENFORCED: Final = (
    "this cluster's network to enforce NetworkPolicies; the node that testcluster builds does, kind does since 0.24: "
    "use one of these, or a network that does"
)
_PORT: Final = 9999
_LISTEN: Final = f"""
import subprocess, sys
serve = [sys.executable, "-m", "http.server", "{_PORT}", "--directory", "/tmp"]
subprocess.Popen(serve, stdin=-3, stdout=-3, stderr=-3, start_new_session=True)
"""
_SIGNAL: Final = """
import glob, os, signal
for path in glob.glob("/proc/[0-9]*/stat"):
    pid, _, rest = open(path).read().partition(" (")
    if rest.rpartition(") ")[2].split()[1] == "1":
        os.kill(int(pid), signal.{signal})
        print(pid)
"""
_HOLD: Final = _SIGNAL.format(signal="SIGSTOP")
_LET_GO: Final = _SIGNAL.format(signal="SIGCONT")


@dataclass(frozen=True)
class Closed:
    """The release in its namespace, and a fake OpenMetadata server."""

    cluster: Cluster
    fake_server: FakeServerClient
    token: str
    password: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl in the release's namespace."""
        return self.cluster.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The release's pods that run, and are to go on running."""
        listed = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return [pod for pod in listed if running(pod)]

    def workload(self, name: str) -> list[dict[str, Any]]:
        """The pods of `operator` or `gateway`."""
        return self.pods(f"app.kubernetes.io/name=ingestion-{name}")

    def within(self, pod: dict[str, Any]) -> Reach:
        """One of the release's pods."""
        return Reach(self.cluster, NAMESPACE, pod["metadata"]["name"])

    def server(self, name: str) -> Reach:
        """One of the servers."""
        return Reach(self.cluster, SERVERS, f"deployment/{name}")

    def leader(self) -> str:
        """The operator that has the Lease."""
        return self.kubectl("get", "lease", LEASE_NAME, "-o", "jsonpath={.spec.holderIdentity}")


def running(pod: dict[str, Any]) -> bool:
    """Whether its container runs."""
    containers = pod["status"].get("containerStatuses", [])
    return "deletionTimestamp" not in pod["metadata"] and any("running" in one["state"] for one in containers)


def at(pod: dict[str, Any], port: int) -> str:
    """A port of a pod, past every Service."""
    return f"{pod['status']['podIP']}:{port}"


@pytest.fixture(scope="module")
def closed(
    cluster: Cluster, built: dict[str, str], namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Closed]:
    """Two operators and a gateway; the server may call the gateway, `files` takes the part of Prometheus."""
    remove(cluster, SERVERS)
    credentials = Credentials.random()
    tools = images.load(cluster, ["fake-openmetadata", "postgres"])
    labels = {OWN: "install"}
    servers = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVERS, "labels": labels}},
        *manifests.fake_openmetadata(SERVERS, tools["fake-openmetadata"], token=credentials.token),
        *manifests.postgres(SERVERS, tools["postgres"], password=credentials.password),
        *manifests.files(SERVERS, tools["fake-openmetadata"], {}),
    ]
    values = {
        "image": built_images(built),
        "settings": {"runnerImages": {"2.0": {"image": built["runner"], "version": "2.0.6.0"}}, **_SETTINGS},
        "operator": {"replicas": 2},
        "logArchive": {"volume": {"accessMode": "ReadWriteMany", "keep": False}},
        "crds": {"keep": False},
        "networkPolicy": {
            "enabled": True,
            "gatewayFrom": [from_server(manifests.FAKE_OPENMETADATA)],
            "metricsFrom": [from_server(manifests.FILES)],
        },
    }
    helm = Helm(cluster, namespace, tmp_path_factory.mktemp("helm"))
    with cluster.enforcing_policies():
        apply(cluster, *servers, NOTHING_ELSE, RUNS_TO_THEIR_SOURCES)
        helm.install(RELEASE, values)
        for deployment in (manifests.FAKE_OPENMETADATA, manifests.POSTGRES, manifests.FILES):
            wait_for_rollout(cluster, SERVERS, deployment)
        with cluster.forward(SERVERS, manifests.FAKE_OPENMETADATA, manifests.FAKE_OPENMETADATA_PORT) as port:
            fake_server = FakeServerClient(f"http://127.0.0.1:{port}")
            fake_server.register_service(SERVICE, "Postgres", connection(DATABASE, credentials.password))
            fake_server.register_pipeline(f"{SERVICE}.nightly")
            release = Closed(cluster, fake_server, credentials.token, password_of_the_gateway(cluster))
            wait_for(_ENFORCED, lambda: refuses_strangers(release), timeout=30)
            yield release
        helm.uninstall(RELEASE)
    cluster.kubectl("delete", "namespace", SERVERS, "--wait=false")


def refuses_strangers(closed: Closed) -> bool:
    """Whether policies have any effect."""
    (gateway,) = closed.workload("gateway")
    return not any(closed.server(manifests.FAKE_OPENMETADATA).tries(at(gateway, MANAGEMENT_PORT)).values())


def password_of_the_gateway(cluster: Cluster) -> str:
    """What the chart has made."""
    path = "jsonpath={.data.password}"
    return base64.b64decode(
        cluster.kubectl("-n", NAMESPACE, "get", "secret", f"{GATEWAY}-credentials", "-o", path)
    ).decode()


def held(closed: Closed) -> dict[str, Any]:
    """The pod of the run, once its workflow has been made to stand still."""

    def stopped() -> dict[str, Any] | None:
        runs = closed.pods(f"{LABEL_MANAGED_BY}={MANAGED_BY},!{LABEL_WARM_POOL}")
        return next((pod for pod in runs if closed.within(pod).run(_HOLD)), None)

    return wait_for("the run's workflow", stopped, timeout=60)


def evict(closed: Closed, pod: str) -> None:
    """What a drain does, which heeds the PodDisruptionBudget."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    closed.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def test_only_the_server_reaches_the_gateway_and_its_metrics_not(closed: Closed) -> None:
    (gateway,), (one, other) = closed.workload("gateway"), closed.workload("operator")
    service = f"{GATEWAY}.{NAMESPACE}:{GATEWAY_PORT}"
    metrics = [at(gateway, MANAGEMENT_PORT), at(one, OPERATOR_PORT), at(other, OPERATOR_PORT)]
    closed.server(manifests.FAKE_OPENMETADATA).expect({service: True, **dict.fromkeys(metrics, False)})
    closed.server(manifests.FILES).expect({service: False, **dict.fromkeys(metrics, True)})
    closed.within(one).expect({service: False, at(gateway, MANAGEMENT_PORT): False, at(other, OPERATOR_PORT): False})


def test_operator_and_gateway_call_allowed_ports_only(closed: Closed) -> None:
    closed.server(manifests.FILES).expect({OPENMETADATA: True, DATABASE: True, ELSEWHERE: True})  # they all listen
    (gateway,), (operator, _) = closed.workload("gateway"), closed.workload("operator")
    closed.within(operator).expect({API_SERVER: True, OPENMETADATA: True, DATABASE: False, ELSEWHERE: False})
    closed.within(gateway).expect({API_SERVER: True, OPENMETADATA: False, DATABASE: False, ELSEWHERE: False})


def test_warm_pods_are_reached_by_the_gateway_alone(closed: Closed) -> None:
    def ready() -> list[dict[str, Any]]:
        warm = closed.pods(f"{LABEL_WARM_POOL}=automations")
        return [pod for pod in warm if closed.within(pod).tries(at(pod, WARM_PORT)).popitem()[1]]

    (warm,) = wait_for("a warm pod that listens", ready, timeout=60)
    (gateway,), (operator, _) = closed.workload("gateway"), closed.workload("operator")
    closed.within(gateway).expect({at(warm, WARM_PORT): True})
    for other in (closed.within(operator), closed.server(manifests.FAKE_OPENMETADATA), closed.server(manifests.FILES)):
        other.expect({at(warm, WARM_PORT): False})


def test_a_run_is_isolated_and_succeeds_without_the_leader(closed: Closed) -> None:
    run_id = str(uuid.uuid4())
    with closed.cluster.forward(NAMESPACE, GATEWAY, GATEWAY_PORT) as port:
        server = ServerClient.new(port, username="admin", password=closed.password)
        body = entity(jwt=closed.token, sourceConfig=SOURCE_CONFIG)
        body["openMetadataServerConnection"]["hostPort"] = f"http://{OPENMETADATA}/api"
        assert server.deploy(body).message
        assert server.trigger("nightly", {"pipelineRunId": run_id}).message
        pod = held(closed)
        run = closed.within(pod)
        run.run(_LISTEN)
        # It does listen: no policy keeps a pod from itself.
        run.expect({at(pod, _PORT): True, OPENMETADATA: True, DATABASE: True, ELSEWHERE: False})
        (gateway,), operators = closed.workload("gateway"), closed.workload("operator")
        others = [closed.within(one) for one in (gateway, *operators)]
        for other in (*others, closed.server(manifests.FAKE_OPENMETADATA), closed.server(manifests.FILES)):
            other.expect({at(pod, _PORT): False})

        leader = closed.leader()
        evict(closed, leader)
        run.run(_LET_GO)
        assert closed.fake_server.wait_for_run(f"{SERVICE}.nightly", timeout=60, run_id=run_id)["state"] == "success"

        def listed() -> dict[str, str]:
            return {one["runId"]: one["pipelineState"] for one in server.read("status", {"dag_id": "nightly"}).json}

        wait_for("the record of its success", lambda: listed().get(run_id) == "success", timeout=30)
        wait_for("another operator to lead", lambda: closed.leader() != leader, timeout=30)
        wait_for("its log", lambda: "Workflow finished" in server.logs("nightly").json["ingestion_task"], timeout=30)
        assert server.delete("nightly").message
        server.close()
