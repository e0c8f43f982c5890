"""The gateway as its users run it: a process with its own Role, in front of a real API server."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from testing.entities import OTHER_ID, entity, token
from testing.gateway_process import GatewayProcess
from testing.server_client import ServerClient
from testing.waiting import wait_for

RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
Replicas = tuple[GatewayProcess, GatewayProcess]


@pytest.fixture(params=["old", "new"])
def server(request: pytest.FixtureRequest, replicas: Replicas) -> Iterator[ServerClient]:
    port = replicas[0].port
    client = ServerClient.old(port) if request.param == "old" else ServerClient.new(port)
    yield client
    client.close()


@pytest.mark.parametrize("name", ["nightly", "Sales (EU) – täglich / lineage v2.1", "🐘" * 256])  # noqa: RUF001
def test_a_pipeline_lives_from_deploy_to_delete(
    server: ServerClient, replicas: Replicas, api: KubernetesCluster, namespace: str, name: str
) -> None:
    other = ServerClient.old(replicas[1].port)
    assert server.deploy(entity(name)).message
    assert other.deploy(entity(name)).message.startswith(f"Pipeline {name} has been unchanged")
    assert other.trigger(name, {"pipelineRunId": RUN}).message
    assert server.trigger(name, {"pipelineRunId": RUN, "sourceConfigOverride": {"includeTables": False}}).code == 200
    (queued,) = other.queued(name).json
    assert (queued["runId"], queued["pipelineState"]) == (RUN, "queued")
    assert server.logs(name).json["total"] == 1
    assert other.disable(name).message
    assert server.deploy(entity(name, displayName="Later")).message
    body = api.get(PIPELINES, namespace, resource_name(name))
    assert body is not None
    assert body["spec"]["suspend"] is True
    assert other.enable(name).message
    assert server.kill(name).message
    assert other.delete(name).message
    assert server.delete(name).message
    wait_for("all of it to be gone", lambda: api.get(PIPELINES, namespace, resource_name(name)) is None, timeout=60)
    assert server.queued(name).code == other.trigger(name).code == 404
    other.close()


def test_a_run_with_an_override_has_a_secret_of_its_own(
    server: ServerClient, api: KubernetesCluster, namespace: str
) -> None:
    server.deploy(entity("override"))
    assert server.trigger("override", {"sourceConfigOverride": {"includeTables": False}}).message
    (job,) = [job for job in api.list(JOBS, namespace, {}) if job["metadata"]["name"].startswith("override-")]
    assert api.get(SECRETS, namespace, job["metadata"]["name"]) is not None
    server.delete("override")
    wait_for("its end", lambda: api.get(PIPELINES, namespace, resource_name("override")) is None, timeout=60)


def test_equal_deploys_at_two_replicas_at_once_make_one_pipeline(
    replicas: Replicas, api: KubernetesCluster, namespace: str
) -> None:
    def deploy(number: int) -> int:
        client = ServerClient.old(replicas[number % 2].port)
        code = client.deploy(entity(f"burst-{number // 10}")).code
        client.close()
        return code

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(deploy, range(50))) == [200] * 50
    for number in range(5):
        assert api.get(PIPELINES, namespace, resource_name(f"burst-{number}")) is not None


@pytest.mark.parametrize("attempt", range(5))
def test_one_of_two_services_that_deploy_one_name_is_refused(replicas: Replicas, attempt: int) -> None:
    def deploy(which: int) -> int:
        client = ServerClient.old(replicas[which].port)
        identity = {"id": OTHER_ID} if which else {}
        code = client.deploy(entity(f"contested-{attempt}", service=f"service-{which}", **identity)).code
        client.close()
        return code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(deploy, range(2))) == [200, 400]


def test_only_the_operator_is_reported_as_missing(replicas: Replicas) -> None:
    code, text = replicas[0].manage("/status")
    (problem,) = json.loads(text)["problems"]
    assert code == 503
    assert "operator has not run" in problem


def test_a_token_is_in_no_log(server: ServerClient, replicas: Replicas) -> None:
    secret = token(serial=4711)
    server.deploy(entity("secretive", jwt=secret))
    server.deploy(entity("secretive", jwt=secret, pipelineType="nonsense"))
    for gateway in replicas:
        assert secret not in gateway.log.read_text()
