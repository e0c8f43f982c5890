"""An OpenMetadata server that knows nothing but the gateway's address."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from testing import chatty, manifests
from testing.install import GATEWAY, problems
from testing.installation import SERVICE, SOURCE_CONFIG, Installation
from testing.postgres.process import connection
from testing.release import PASSWORD, USERNAME
from testing.server_client import ServerClient
from testing.waiting import wait_for

NAME = "Täglich: shop / metadata"
FQN = f"{SERVICE}.{NAME}"
APPLICATIONS = "OpenMetadata"
HELLO = {"sleep": 0, "echo": "hello"}


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[ServerClient]:
    """A server of today in front of the installed gateway."""
    with installation.cluster.forward(installation.namespace, GATEWAY, 8080) as port:
        client = ServerClient.new(port, username=USERNAME, password=PASSWORD)
        yield client
        client.close()


def entity(installation: Installation, **changes: Any) -> dict[str, Any]:
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
            "hostPort": f"http://{manifests.FAKE_OPENMETADATA}:{manifests.FAKE_OPENMETADATA_PORT}/api",
            "authProvider": "openmetadata",
            "verifySSL": "no-ssl",
            "securityConfig": {"jwtToken": installation.credentials.token},
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


def pipeline_of(installation: Installation, fqn: str = FQN) -> str:
    """The name of the resource that the gateway made."""
    found = [body for body in installation.list("omip") if body["spec"].get("fullyQualifiedName") == fqn]
    return str(found[0]["metadata"]["name"]) if found else ""


def test_server_drives_a_pipeline_by_the_gateway_alone(installation: Installation, server: ServerClient) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())

    # Deployed is ready to be triggered, at once.
    server.deploy(entity(installation)).message  # noqa: B018  the property asserts that it is a success
    for _ in range(2):  # asked again, as after an answer that was lost, it is the same run
        server.trigger(NAME, {"pipelineRunId": first}).message  # noqa: B018
    assert list(states(server)) == [first]

    # Queued until it reports, then running, its log to be read meanwhile.
    wait_for("the first run to run", lambda: states(server)[first] == "running", timeout=60)
    assert first not in [run["runId"] for run in server.queued(NAME).json]
    wait_for("its log", lambda: "loading openmetadata-ingestion" in log_text(server), timeout=30)

    # A second one waits for its turn.
    server.trigger(NAME, {"pipelineRunId": second}).message  # noqa: B018
    assert states(server)[second] == "queued"
    assert [run["runId"] for run in server.queued(NAME).json] == [second]
    wait_for("the first run's success", lambda: states(server)[first] == "success", timeout=90)
    assert installation.fake_server.wait_for_run(FQN, timeout=5, run_id=first)["state"] == "success"

    # Kill ends its pod, keeps it listed, and the server learns of it.
    wait_for(
        "the second run's row",
        lambda: {"running"} & {r["state"] for r in installation.fake_server.runs(FQN)},
        timeout=90,
    )
    server.kill(NAME).message  # noqa: B018
    name = pipeline_of(installation)
    selector = f"ingestion.openmetadata.org/pipeline={installation.status(name)['cronJobName']}"

    def running_pods() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in installation.list("pods", selector)
            if pod["status"]["phase"] == "Running"
        ]

    wait_for("the pod to be gone", lambda: not running_pods(), timeout=40)
    killed = installation.wait_for_end(name, second, timeout=20)
    assert (killed["state"], killed["reason"]) == ("stopped", "Killed")
    assert states(server)[second] in ("stopped", "failed")
    reported = wait_for(
        "the server to know that it was stopped",
        lambda: [r for r in installation.fake_server.runs(FQN) if r["runId"] == second and r["state"] == "stopped"],
        timeout=10,
    )
    assert reported[0]["row"]["status"][0]["failures"][0]["name"] == "Killed"
    assert server.kill(NAME).code == 404

    # What both runs have said is there to be read to its last line, though one pod is gone.
    wait_for("the killed run's pod to go", lambda: len(installation.list("pods", selector)) == 1, timeout=20)
    wait_for("its last line", lambda: "[runner] failed (Interrupted)" in log_text(server), timeout=30)
    assert "lines may be missing" not in log_text(server)
    earlier = server.read("last_dag_logs", {"dag_id": NAME, "run_id": first}).json["ingestion_task"]
    assert "Workflow finished" in earlier

    # A pause outlives a deploy.
    server.disable(NAME).message  # noqa: B018
    server.deploy(entity(installation, enabled=False, displayName="Shop metadata, paused")).message  # noqa: B018
    assert installation.get("omip", name)["spec"]["suspend"] is True  # type: ignore[index]
    server.enable(NAME).message  # noqa: B018
    wait_for(
        "the schedule to go on", lambda: installation.condition(name, "Scheduled").get("status") == "True", timeout=15
    )

    # Nothing that arrived secret stands anywhere but in a Secret.
    kinds = ("omip", "cronjobs", "jobs", "pods", "events", "configmaps")
    texts = {kind: installation.kubectl("get", kind, "-o", "yaml", "--show-managed-fields") for kind in kinds}
    texts["gateway log"] = installation.kubectl("logs", f"deployment/{GATEWAY}", "--all-pods")
    for value in (installation.credentials.token, PASSWORD):
        assert [where for where, text in texts.items() if value in text] == []

    # Deleted leaves nothing behind.
    server.delete(NAME).message  # noqa: B018
    server.delete(NAME).message  # noqa: B018

    def left() -> list[str]:
        return [
            f"{body['kind']}/{body['metadata']['name']}"
            for kind in ("omip", "cronjobs", "jobs", "pods", "secrets")
            for body in installation.list(kind)
            if name in json.dumps(body["metadata"])
        ]

    wait_for("everything to be gone", lambda: not left(), timeout=60)
    assert server.read("status", {"dag_id": NAME}).code == 404


def test_long_log_is_read_in_pages_during_and_after_the_run(installation: Installation, server: ServerClient) -> None:
    installation.apply(chatty.config_map())
    installation.fake_server.register_service(APPLICATIONS, "OpenMetadata", kind="metadata")
    installation.fake_server.register_pipeline(f"{APPLICATIONS}.chatty", pipelineType="application")
    source = {"type": "Application", "sourcePythonClass": "chatty.Chatty", "appConfig": HELLO}
    name, fqn = "chatty", f"{APPLICATIONS}.chatty"
    body = entity(
        installation,
        id="0c0ffee0-0000-4000-8000-000000000003",
        name=name,
        fullyQualifiedName=fqn,
        pipelineType="application",
        service={"id": "0c0ffee0-0000-4000-8000-000000000004", "type": "metadataService", "name": APPLICATIONS},
        sourceConfig={"config": source},
        airflowConfig={},
    )
    server.deploy(body).message  # noqa: B018
    server.trigger(name).message  # noqa: B018

    def page(after: str = "") -> dict[str, Any]:
        reply = server.logs(name, "application_task", after)
        return dict(reply.json) if reply.code == 200 else {}

    wait_for("the end of its log", lambda: chatty.LAST_WORDS in page("1").get("application_task", ""), timeout=60)
    running = [page(), page("1")]
    assert (len(running[0]["application_task"]), running[0]["after"], running[0]["total"]) == (2_000_000, 1, 2)
    assert "after" not in running[1]
    text = "".join(found["application_task"] for found in running)
    lines = [line for line in text.splitlines() if line.startswith("line ")]
    assert lines == [chatty.line(number) for number in range(chatty.LINES)]

    server.kill(name).message  # noqa: B018
    pods = f"ingestion.openmetadata.org/pipeline={installation.status(pipeline_of(installation, fqn))['cronJobName']}"
    wait_for("the pod to be gone", lambda: not installation.list("pods", pods), timeout=40)
    assert page()["application_task"] == running[0]["application_task"]
    assert page("1")["application_task"].startswith(running[1]["application_task"])
    row = installation.fake_server.wait_for_run(fqn, timeout=10)
    assert row["row"]["status"][0]["name"] in ("Runner", "Operator")
    server.delete(name).message  # noqa: B018


@pytest.mark.parametrize(("is_right", "status"), [(True, "Successful"), (False, "Failed")])
def test_connection_is_tested_before_the_dialog_times_out(
    installation: Installation, server: ServerClient, is_right: bool, status: str
) -> None:
    password = installation.credentials.password if is_right else "not-the-password"
    tested = connection(f"{manifests.POSTGRES}:{manifests.POSTGRES_PORT}", password)
    name = f"test-connection-{status}"
    request = {"connection": tested, "serviceType": "Database", "connectionType": "Postgres", "serviceName": SERVICE}
    document = installation.fake_server.register_automation(name, request | {"secretsManagerProvider": "db"})
    body = document | {"openMetadataServerConnection": entity(installation)["openMetadataServerConnection"]}
    server.change("POST", "run_automation", body=body).message  # noqa: B018
    found = wait_for(
        "the result",
        lambda: (
            got if (got := installation.fake_server.automation(name))["status"] in ("Successful", "Failed") else None
        ),
        timeout=60,
    )
    assert (found["status"], found["response"]["status"]) == (status, status)
    access = next(step for step in found["response"]["steps"] if step["name"] == "CheckAccess")
    assert access["passed"] is is_right
    jobs = installation.list("jobs", "ingestion.openmetadata.org/one-off=automation")
    text = json.dumps([jobs, installation.list("pods", "ingestion.openmetadata.org/one-off=automation")])
    assert jobs
    assert password not in text
    assert installation.credentials.token not in text


def test_application_is_run_once_and_reports_to_its_pipeline(installation: Installation, server: ServerClient) -> None:
    installation.fake_server.register_service(APPLICATIONS, "OpenMetadata", kind="metadata")
    app = {
        "name": "HelloPipelines",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfiguration": HELLO,
        "pipelines": [{"id": "1", "type": "ingestionPipeline", "fullyQualifiedName": f"{APPLICATIONS}.hello"}],
        "openMetadataServerConnection": entity(installation)["openMetadataServerConnection"],
    }
    installation.fake_server.register_pipeline(f"{APPLICATIONS}.hello", pipelineType="application")
    server.change("POST", "run_application", body=app).message  # noqa: B018
    wait_for("its row", lambda: installation.fake_server.runs(f"{APPLICATIONS}.hello"), timeout=40)
    reported = installation.fake_server.wait_for_run(f"{APPLICATIONS}.hello", timeout=40)
    assert reported["state"] == "success", reported["row"]


def test_an_orphaned_secret_goes_with_the_servers_delete(installation: Installation, server: ServerClient) -> None:
    name, fqn = "left over", f"{SERVICE}.left over"
    body = entity(installation, id="0c0ffee0-0000-4000-8000-000000000005", name=name, fullyQualifiedName=fqn)
    server.deploy(body).message  # noqa: B018
    server.deploy(body | {"sourceConfig": {"config": {**SOURCE_CONFIG["config"], "includeTables": False}}}).message  # noqa: B018
    (made,) = [body["metadata"] for body in installation.list("omip") if body["spec"].get("fullyQualifiedName") == fqn]

    def left() -> list[str]:
        secrets = [body["metadata"] for body in installation.list("secrets")]
        return [metadata["name"] for metadata in secrets if metadata["name"].startswith(made["name"])]

    installation.kubectl("delete", "omip", made["name"], "--cascade=orphan")
    assert left()
    server.delete(name).message  # noqa: B018
    assert not left()
    installation.kubectl("delete", "cronjob", made["name"], "--ignore-not-found")


def test_nothing_is_missing_for_the_gateway(installation: Installation) -> None:
    wait_for("the operator's Lease", lambda: problems(installation.cluster, installation.namespace) == [], timeout=30)


def test_gateway_reports_the_version_of_the_runner_image(server: ServerClient) -> None:
    assert server.read("health-auth").json == {"status": "healthy", "version": "2.0.6.0"}


def test_gateway_refuses_a_wrong_password(server: ServerClient) -> None:
    reply = server.send("GET", f"{server.root}/health-auth", headers={"Authorization": "Basic YWRtaW46d3Jvbmc="})
    assert reply.code == 401
