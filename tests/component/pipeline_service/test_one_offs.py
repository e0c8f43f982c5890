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
from testing.world import World

PASSWORD = "a-password-that-stands-nowhere-else"


def only(world: World, kind: Any) -> Body:
    (body,) = world.cluster.all(kind)
    return body


def secret_text(world: World, key: str) -> str:
    return base64.b64decode(only(world, SECRETS)["data"][key]).decode()


def pod(world: World) -> Body:
    template: Body = only(world, JOBS)["spec"]["template"]
    return template


def test_an_automation_becomes_a_job_that_starts_at_once_and_is_not_repeated(world: World) -> None:
    answer = world.client.run_automation(automation())
    spec = only(world, JOBS)["spec"]
    assert answer.reason == "Automation test-connection-shop-x1 has been started"
    assert spec.get("suspend", False) is False
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] < 120
    assert spec["ttlSecondsAfterFinished"] == 600
    assert not world.cluster.all(PIPELINES)


def test_the_document_of_an_automation_travels_whole_in_a_secret_that_its_job_owns(world: World) -> None:
    body = automation(aKeyOfALaterVersion={"täglich": 1})
    world.client.run_automation(body)
    job, secret = only(world, JOBS), only(world, SECRETS)
    assert json.loads(secret_text(world, "automation")) == body
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    (volume,) = [v for v in pod(world)["spec"]["volumes"] if v["name"] == "automation"]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]


def test_nothing_secret_of_an_automation_stands_in_its_job(world: World) -> None:
    world.client.run_automation(automation(password=PASSWORD))
    text = json.dumps(only(world, JOBS))
    assert PASSWORD not in text
    assert token() not in text


def test_the_runner_is_told_that_it_is_an_automation(world: World) -> None:
    world.client.run_automation(automation())
    given = json.loads(pod(world)["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given == {"version": 1, "kind": "automation"}


def test_the_pod_of_an_automation_has_no_more_rights_than_a_run(world: World) -> None:
    world.client.run_automation(automation())
    spec = pod(world)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(("layer", "applies"), [("databaseService", True), ("dashboardService", False)])
def test_a_services_pod_template_layer_applies_to_the_test_of_its_connection(
    world: World, layer: Any, applies: bool
) -> None:
    template = PodTemplate.model_validate({"spec": {"nodeSelector": {"zone": "a"}}})
    layers = [ServiceLayer(type=layer, name="shop", pod_template=template)]
    world.settings = objects.settings().model_copy(update={"pod_templates_by_service": layers})
    world.client.run_automation(automation())
    assert ("nodeSelector" in pod(world)["spec"]) is applies


def test_an_automation_for_a_service_without_name_is_run(world: World) -> None:
    world.client.run_automation(automation(request={"connection": {}, "serviceType": "Database"}))
    assert only(world, JOBS)


@pytest.mark.parametrize("name", ["Täglich: shop", "🐘" * 256, "-", "x" * 256])
def test_any_name_of_an_automation_gives_a_valid_name_of_a_job(world: World, name: str) -> None:
    world.client.run_automation(automation(name))
    found = only(world, JOBS)["metadata"]["name"]
    assert len(found) <= 63
    assert found.strip("-") == found
    assert found.replace("-", "").isalnum()
    assert found.isascii()


def test_an_automation_sent_twice_is_carried_out_twice(world: World) -> None:
    first, second = (world.client.run_automation(automation()).run_id for _ in range(2))
    assert first != second
    assert len(world.cluster.all(JOBS)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": None}, "Missing parameter 'id'"),
        ({"name": ""}, "Invalid parameter value for 'name'"),
        ({"request": None}, "Missing parameter 'request'"),
        ({"openMetadataServerConnection": {}}, "Missing parameter 'openMetadataServerConnection.hostPort'"),
    ],
)
def test_an_automation_that_lacks_something_is_refused_before_anything_is_written(
    world: World, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        world.client.run_automation(automation(**changes))
    assert not world.cluster.writes


def test_a_document_too_large_for_a_secret_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="more than the 1000000 of a Secret"):
        world.client.run_automation(automation(request={"connection": {"config": "x" * 1_000_001}}))
    assert not world.cluster.writes


def test_a_secret_whose_answer_is_lost_is_not_written_twice(world: World) -> None:
    world.cluster.fail("create", Unavailable("lost", code=504), plural="secrets", after=True)
    world.client.run_automation(automation())
    assert only(world, SECRETS)


def test_only_a_connection_test_is_taken_for_one(world: World) -> None:
    with pytest.raises(Rejected, match="only TEST_CONNECTION tests a connection"):
        world.client.test_connection(automation(workflowType="REVERSE_INGESTION"))
    world.client.test_connection(automation())
    assert only(world, JOBS)


def test_an_application_runs_with_its_configuration_and_token_from_a_secret(world: World) -> None:
    world.client.run_application(application())
    config = json.loads(secret_text(world, "source-config"))["config"]
    assert config == {
        "type": "Application",
        "sourcePythonClass": "metadata.applications.example.HelloPipelines",
        "appConfig": {"sleep": 0, "echo": "hello"},
        "appPrivateConfig": {"apiKey": "app-secret"},
    }
    assert secret_text(world, "token") == token()
    text = json.dumps(only(world, JOBS))
    assert "app-secret" not in text
    assert token() not in text


@pytest.mark.parametrize(("pipelines", "told"), [(None, None), ([], None), ("kept", "OpenMetadata.hello")])
def test_an_application_reports_to_its_pipeline_if_it_has_one(world: World, pipelines: Any, told: str | None) -> None:
    world.client.run_application(application() if pipelines == "kept" else application(pipelines=pipelines))
    given = json.loads(pod(world)["metadata"]["annotations"][constants.ANNOTATION_RUN_INPUT])
    assert given.get("fullyQualifiedName") == told
    assert given["pipelineType"] == "application"
    assert given["server"] == {"hostPort": "http://openmetadata:8585/api", "verifySSL": "no-ssl"}


def test_an_application_has_days_and_the_id_that_was_answered(world: World) -> None:
    answer = world.client.run_application(application())
    assert only(world, JOBS)["spec"]["activeDeadlineSeconds"] == 7 * 24 * 3600
    assert pod(world)["metadata"]["annotations"][constants.ANNOTATION_RUN_ID] == answer.run_id


def test_an_application_without_a_class_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="Missing parameter 'sourcePythonClass'"):
        world.client.run_application(application(sourcePythonClass=None))
    assert not world.cluster.writes
