"""K8sPipelineServiceClient against a real API server; the test runs each of the operator's reconciles."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.adapters.kube.pod_logs import KubernetesPodLogs
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import NotFound, OperatorError, Rejected
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import JOBS, LEASES, PIPELINES, PODS, SECRETS
from ingestion_operator.runtime.heartbeat import lease_body
from testcluster.handle import Cluster
from testing import objects
from testing.entities import OTHER_ID, airflow, entity, token
from testing.fake_sink import FakeSink, reporter_over
from testing.live_reconciling import LiveReconciling
from testing.waiting import wait_for

RUN = "0b7d8b3e-6f0a-4a57-9a63-3a1f6f1c2d10"
SETTINGS = {
    "runnerImages": {"2.0": {"image": "localhost/pause:1", "version": "2.0.6.0"}},
    "defaultServerVersion": "2.0",
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.model_validate(SETTINGS)


@pytest.fixture(scope="module")
def make_client(cluster: Cluster, namespace: str, settings: Settings) -> Callable[[], K8sPipelineServiceClient]:
    def make() -> K8sPipelineServiceClient:
        api_client = connect(read_configuration(str(cluster.kubeconfig)), pool_size=32)
        return K8sPipelineServiceClient(
            KubernetesCluster(api_client, timeout_seconds=(2.0, 10.0), attempts=2),
            namespace=namespace,
            settings=lambda: settings,
            clock=SystemClock(),
            logs=KubernetesPodLogs(api_client),
        )

    return make


@pytest.fixture(scope="module")
def client(make_client: Callable[[], K8sPipelineServiceClient]) -> K8sPipelineServiceClient:
    return make_client()


@pytest.fixture
def operate(api: KubernetesCluster, namespace: str, settings: Settings) -> Callable[[str], object]:
    reporter = reporter_over(api, FakeSink(), lambda: settings, SystemClock())
    reconciler = LiveReconciling(api, namespace, lambda: settings, SystemClock(), reporter)
    return lambda name: reconciler.reconcile(resource_name(name))


def stored(api: KubernetesCluster, namespace: str, name: str) -> dict[str, Any]:
    body = api.get(PIPELINES, namespace, resource_name(name))
    assert body is not None
    return body


@pytest.mark.parametrize(
    "name",
    ["nightly", "Sales (EU) / täglich / lineage v2.1", "日本語" * 85, "x" * 256, "a.b", "a b", "-", '"quoted".name'],
)
def test_any_name_is_deployed_found_run_and_deleted(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str, name: str
) -> None:
    client.deploy_pipeline(entity(name))
    assert stored(api, namespace, name)["metadata"]["annotations"][constants.ANNOTATION_ENTITY_NAME] == name
    run = client.run_pipeline(name).run_id
    assert [status.run_id for status in client.get_pipeline_status(name, only_queued=True)] == [run]
    client.delete_pipeline(name)
    wait_for("the pipeline to go", lambda: api.get(PIPELINES, namespace, resource_name(name)) is None, timeout=30)


def test_the_same_entity_twice_changes_no_resource_version(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str
) -> None:
    body = entity("twice", airflowConfig=airflow(retries=2, workflowTimeout=3600, maxActiveRuns=2, concurrency=2))
    client.deploy_pipeline(body)

    def versions() -> list[str]:
        secrets = api.list(SECRETS, namespace, {})
        return sorted(each["metadata"]["resourceVersion"] for each in [*secrets, stored(api, namespace, "twice")])

    before = versions()
    assert "unchanged" in client.deploy_pipeline(body).reason
    assert versions() == before


def test_removed_fields_go_and_fields_of_others_stay(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str
) -> None:
    full = airflow(endDate="2030-01-01T00:00:00Z", workflowTimeout=60, email="ada@example.org")
    client.deploy_pipeline(entity("merged", airflowConfig=full))
    added = {"history": {"successful": 9}, "podTemplate": {"spec": {"nodeSelector": {"disk": "ssd"}}}}
    api.merge_patch(PIPELINES, namespace, resource_name("merged"), {"spec": added})
    client.toggle_ingestion("merged", enabled=False)
    client.deploy_pipeline(entity("merged", airflowConfig=airflow(scheduleInterval="@hourly"), displayName=None))
    body = stored(api, namespace, "merged")
    spec = body["spec"]
    assert spec["schedule"].items() >= {"cron": "@hourly", "startDate": "2024-05-20T00:00:00Z"}.items()
    assert not {"timeout", "displayName"} & spec.keys()
    assert "endDate" not in spec["schedule"]
    assert (spec["history"]["successful"], spec["podTemplate"]) == (9, added["podTemplate"])
    assert spec["suspend"] is True
    assert constants.ANNOTATION_IGNORED_FIELDS not in body["metadata"]["annotations"]


def test_many_replicas_that_deploy_one_name_leave_one_pipeline(
    make_client: Callable[[], K8sPipelineServiceClient], api: KubernetesCluster, namespace: str
) -> None:
    clients = [make_client() for _ in range(8)]
    bodies = [
        entity(
            "contested", service=service, id=uid, sourceConfig={"config": {"type": "DatabaseMetadata", "x": service}}
        )
        for service, uid in (("shop", None), ("crm", OTHER_ID))
        for _ in range(4)
    ]

    def deploy(number: int) -> str:
        try:
            clients[number].deploy_pipeline(bodies[number])
        except Rejected as rejected:
            return rejected.reason
        return str(bodies[number]["service"]["name"])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(deploy, range(8)))
    winner = stored(api, namespace, "contested")["spec"]["service"]["name"]
    assert sorted(answers) == sorted(["NameConflict"] * 4 + [winner] * 4)
    secret = api.get(SECRETS, namespace, f"{resource_name('contested')}-source-config")
    assert secret is not None
    assert "unchanged" in clients[0].deploy_pipeline(next(b for b in bodies if b["service"]["name"] == winner)).reason


def test_the_same_run_asked_for_at_once_by_many_is_one_job(
    make_client: Callable[[], K8sPipelineServiceClient], api: KubernetesCluster, namespace: str
) -> None:
    clients = [make_client() for _ in range(6)]
    clients[0].deploy_pipeline(entity("once"))
    with ThreadPoolExecutor(6) as pool:
        runs = set(pool.map(lambda each: each.run_pipeline("once", run_id=RUN).run_id, clients))
    assert runs == {RUN}
    assert len(api.list(JOBS, namespace, {constants.LABEL_PIPELINE: resource_name("once")})) == 1


def test_a_stopped_waiting_run_is_recorded_and_its_job_goes(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str, operate: Callable[[str], object]
) -> None:
    client.deploy_pipeline(entity("stopped"))
    client.run_pipeline("stopped", run_id=RUN)
    client.kill_ingestion("stopped")
    operate("stopped")
    assert [s.pipeline_state for s in client.get_pipeline_status("stopped")] == ["stopped"]
    assert api.list(JOBS, namespace, {constants.LABEL_PIPELINE: resource_name("stopped")}) == []
    with pytest.raises(NotFound):
        client.kill_ingestion("stopped")


def test_killed_runs_and_deleted_pipelines_end_their_pods(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str, operate: Callable[[str], object]
) -> None:
    """One test for both, since this image takes the whole grace period to end."""
    runs = {}
    for name in ("killed", "deleted"):
        client.deploy_pipeline(entity(name))
        runs[name] = str(client.run_pipeline(name, source_config_override={"includeTables": False}).run_id)
    second = str(client.run_pipeline("killed").run_id)
    for name in ("killed", "deleted"):
        operate(name)

    def pods(name: str) -> list[dict[str, Any]]:
        return api.list(PODS, namespace, {constants.LABEL_PIPELINE: resource_name(name)})

    def states(name: str) -> dict[str, str]:
        return {status.run_id: status.pipeline_state for status in client.get_pipeline_status(name)}

    wait_for("both runs to run", lambda: all(states(n).get(runs[n]) == "running" for n in runs), timeout=60)
    assert states("killed")[second] == "queued"
    assert client.get_last_ingestion_logs("deleted").text == ""
    client.kill_ingestion_run("killed", runs["killed"])
    client.delete_pipeline("deleted")
    wait_for("the killed run to be stopped", lambda: states("killed").get(runs["killed"]) == "stopped", timeout=60)
    operate("killed")
    wait_for("the next run to run", lambda: states("killed").get(second) == "running", timeout=60)
    assert states("killed")[runs["killed"]] == "stopped"
    wait_for("the deleted pipeline's pods to go", lambda: pods("deleted") == [], timeout=60)
    label = {constants.LABEL_PIPELINE: resource_name("deleted")}
    wait_for("its Jobs to go", lambda: api.list(JOBS, namespace, label) == [], timeout=30)

    def secrets() -> list[str]:
        names = (secret["metadata"]["name"] for secret in api.list(SECRETS, namespace, {}))
        return [name for name in names if name.startswith(resource_name("deleted"))]

    wait_for("its Secrets to go", lambda: secrets() == [], timeout=30)


def test_a_deploy_during_a_deletion_waits_for_it(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str
) -> None:
    client.deploy_pipeline(entity("again"))
    client.run_pipeline("again")
    uid = stored(api, namespace, "again")["metadata"]["uid"]
    client.delete_pipeline("again")
    client.deploy_pipeline(entity("again"))
    assert stored(api, namespace, "again")["metadata"]["uid"] != uid
    secret = api.get(SECRETS, namespace, f"{resource_name('again')}-source-config")
    assert secret is not None


def test_the_manager_of_a_pipeline_applied_manually_is_named(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str
) -> None:
    body = objects.manifest("by-hand", namespace, fullyQualifiedName="shop.manual")
    api.apply(PIPELINES, body, field_manager="argocd")
    with pytest.raises(Rejected, match="argocd"):
        client.deploy_pipeline(entity("manual"))
    client.toggle_ingestion("manual", enabled=False)
    assert client.run_pipeline("manual").run_id


def test_the_status_names_a_missing_operator(
    client: K8sPipelineServiceClient, api: KubernetesCluster, namespace: str
) -> None:
    assert "has not run yet" in client.get_service_status().problems[0]
    lease = lease_body(namespace, SystemClock().now())
    api.apply(LEASES, lease, field_manager=constants.FIELD_MANAGER)
    assert client.get_service_status().healthy


def test_the_status_of_a_cluster_that_is_away_comes_soon(cluster: Cluster, namespace: str, settings: Settings) -> None:
    configuration = read_configuration(str(cluster.kubeconfig))
    configuration.host = "https://127.0.0.1:1"
    api_client = connect(configuration)
    kube = KubernetesCluster(api_client, timeout_seconds=(0.3, 0.5), attempts=1)
    away = K8sPipelineServiceClient(
        kube, namespace=namespace, settings=lambda: settings, clock=SystemClock(), logs=KubernetesPodLogs(api_client)
    )
    started = time.monotonic()
    assert "cannot be reached" in away.get_service_status().problems[0]
    assert time.monotonic() - started < 1
    with pytest.raises(OperatorError):
        away.deploy_pipeline(entity(jwt=token(serial=3)))
