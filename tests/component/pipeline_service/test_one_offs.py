"""What OpenMetadata asks for once: the test of a connection, an application."""

import base64
import json
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.settings import ServiceLayer
from ingestion_operator.errors import Rejected, Unavailable
from ingestion_operator.ports import JOBS, PIPELINES, SECRETS
from testing import objects
from testing.entities import application, automation, token
from testing.objects import Body
from testing.simulation import Simulation

PASSWORD = "a-password-that-stands-nowhere-else"


def only(simulation: Simulation, kind: Any) -> Body:
    (body,) = simulation.cluster.all(kind)
    return body


def secret_text(simulation: Simulation, key: str) -> str:
    return base64.b64decode(only(simulation, SECRETS)["data"][key]).decode()


def pod(simulation: Simulation) -> Body:
    template: Body = only(simulation, JOBS)["spec"]["template"]
    return template


def test_an_automation_becomes_a_job_without_retries(simulation: Simulation) -> None:
    answer = simulation.client.run_automation(automation())
    spec = only(simulation, JOBS)["spec"]
    assert answer.reason == "Automation test-connection-shop-x1 has been started"
    assert spec.get("suspend", False) is False
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] < 120
    assert spec["ttlSecondsAfterFinished"] == 600
    assert not simulation.cluster.all(PIPELINES)


def test_the_job_of_an_automation_owns_the_secret_with_it(simulation: Simulation) -> None:
    body = automation(aKeyOfALaterVersion={"täglich": 1})
    simulation.client.run_automation(body)
    job, secret = only(simulation, JOBS), only(simulation, SECRETS)
    assert json.loads(secret_text(simulation, "automation")) == body
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    (volume,) = [v for v in pod(simulation)["spec"]["volumes"] if v["name"] == "automation"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]


def test_nothing_secret_of_an_automation_stands_in_its_job(simulation: Simulation) -> None:
    simulation.client.run_automation(automation(password=PASSWORD))
    text = json.dumps(only(simulation, JOBS))
    assert PASSWORD not in text
    assert token() not in text


def test_the_run_input_is_one_of_an_automation(simulation: Simulation) -> None:
    simulation.client.run_automation(automation())
    given = json.loads(pod(simulation)["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given == {"version": 1, "kind": "automation"}


def test_the_pod_of_an_automation_has_no_more_rights_than_a_run(simulation: Simulation) -> None:
    simulation.client.run_automation(automation())
    spec = pod(simulation)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(("layer", "applies"), [("databaseService", True), ("dashboardService", False)])
def test_a_services_layer_applies_to_its_connection_tests(simulation: Simulation, layer: Any, applies: bool) -> None:
    template = PodTemplate.model_validate({"spec": {"nodeSelector": {"zone": "a"}}})
    layers = [ServiceLayer(type=layer, name="shop", pod_template=template)]
    simulation.settings = objects.settings().model_copy(update={"pod_templates_by_service": layers})
    simulation.client.run_automation(automation())
    assert ("nodeSelector" in pod(simulation)["spec"]) is applies


def test_an_automation_for_a_service_without_name_is_run(simulation: Simulation) -> None:
    simulation.client.run_automation(automation(request={"connection": {}, "serviceType": "Database"}))
    assert only(simulation, JOBS)


@pytest.mark.parametrize("name", ["Täglich: shop", "🐘" * 256, "-", "x" * 256])
def test_any_name_of_an_automation_gives_a_valid_name_of_a_job(simulation: Simulation, name: str) -> None:
    simulation.client.run_automation(automation(name))
    found = only(simulation, JOBS)["metadata"]["name"]
    assert len(found) <= 63
    assert found.strip("-") == found
    assert found.replace("-", "").isalnum()
    assert found.isascii()


def test_an_automation_sent_twice_is_executed_twice(simulation: Simulation) -> None:
    first, second = (simulation.client.run_automation(automation()).run_id for _ in range(2))
    assert first != second
    assert len(simulation.cluster.all(JOBS)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": None}, "Missing parameter 'id'"),
        ({"name": ""}, "Invalid parameter value for 'name'"),
        ({"request": None}, "Missing parameter 'request'"),
        ({"openMetadataServerConnection": {}}, "Missing parameter 'openMetadataServerConnection.hostPort'"),
    ],
)
def test_an_incomplete_automation_is_refused_before_any_write(
    simulation: Simulation, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        simulation.client.run_automation(automation(**changes))
    assert not simulation.cluster.writes


def test_a_document_too_large_for_a_secret_is_refused(simulation: Simulation) -> None:
    with pytest.raises(Rejected, match="more than the 1000000 of a Secret"):
        simulation.client.run_automation(automation(request={"connection": {"config": "x" * 1_000_001}}))
    assert not simulation.cluster.writes


def test_a_secret_whose_answer_is_lost_is_not_written_twice(simulation: Simulation) -> None:
    simulation.cluster.fail("create", Unavailable("lost", code=504), plural="secrets", after=True)
    simulation.client.run_automation(automation())
    assert only(simulation, SECRETS)


def test_only_a_connection_test_is_taken_for_one(simulation: Simulation) -> None:
    with pytest.raises(Rejected, match="only TEST_CONNECTION tests a connection"):
        simulation.client.test_connection(automation(workflowType="REVERSE_INGESTION"))
    simulation.client.test_connection(automation())
    assert only(simulation, JOBS)


def test_an_application_gets_configuration_and_token_in_a_secret(simulation: Simulation) -> None:
    simulation.client.run_application(application())
    config = json.loads(secret_text(simulation, "source-config"))["config"]
    assert config == {
        "type": "Application",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfig": {"sleep": 0, "echo": "hello"},
        "appPrivateConfig": {"apiKey": "app-secret"},
    }
    assert secret_text(simulation, "token") == token()
    text = json.dumps(only(simulation, JOBS))
    assert "app-secret" not in text
    assert token() not in text


@pytest.mark.parametrize(("pipelines", "reported"), [(None, None), ([], None), ("kept", "OpenMetadata.hello")])
def test_an_application_reports_to_its_pipeline_if_it_has_one(
    simulation: Simulation, pipelines: Any, reported: str | None
) -> None:
    simulation.client.run_application(application() if pipelines == "kept" else application(pipelines=pipelines))
    given = json.loads(pod(simulation)["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given.get("fullyQualifiedName") == reported
    assert given["pipelineType"] == "application"
    assert given["server"] == {"hostPort": "http://openmetadata:8585/api", "verifySSL": "no-ssl"}


def test_an_application_has_days_and_the_id_that_was_answered(simulation: Simulation) -> None:
    answer = simulation.client.run_application(application())
    assert only(simulation, JOBS)["spec"]["activeDeadlineSeconds"] == 7 * 24 * 3600
    assert pod(simulation)["metadata"]["annotations"][constants.ANNOTATION_RUN_ID] == answer.run_id


def test_an_application_without_a_class_is_refused(simulation: Simulation) -> None:
    with pytest.raises(Rejected, match="Missing parameter 'sourcePythonClass'"):
        simulation.client.run_application(application(sourcePythonClass=None))
    assert not simulation.cluster.writes
