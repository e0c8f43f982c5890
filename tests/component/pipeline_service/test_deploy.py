"""Deploying onto an API server in memory: what is written, in which order, and what a crash leaves."""

import base64
import json
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, NotFound, OperatorError, Rejected, Unavailable
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES, SECRETS
from testing.entities import OTHER_ID, airflow, entity, token
from testing.objects import NAMESPACE, Body, manifest
from testing.simulation import Simulation

RESOURCE = resource_name("nightly")


def pipeline(simulation: Simulation, name: str = RESOURCE) -> Body:
    body = simulation.cluster.get(PIPELINES, NAMESPACE, name)
    assert body is not None
    return body


def secret_value(simulation: Simulation, name: str, key: str) -> str:
    body = simulation.cluster.get(SECRETS, NAMESPACE, name)
    assert body is not None
    return base64.b64decode(body["data"][key]).decode()


def token_secrets(simulation: Simulation) -> list[Body]:
    return [s for s in simulation.cluster.all(SECRETS) if s["metadata"]["name"].startswith("openmetadata-token-")]


def state(simulation: Simulation) -> Any:
    """Everything there is, but for versions."""

    def bare(body: Body) -> Body:
        metadata = {k: v for k, v in body["metadata"].items() if k not in ("resourceVersion", "uid", "generation")}
        owners = [{k: v for k, v in o.items() if k != "uid"} for o in metadata.pop("ownerReferences", [])]
        return body | {"metadata": metadata | {"ownerReferences": owners}}

    return sorted(
        (bare(body) for kind in (PIPELINES, SECRETS) for body in simulation.cluster.all(kind)), key=json.dumps
    )


def test_the_first_deploy_writes_token_resource_and_source(simulation: Simulation) -> None:
    answer = simulation.client.deploy_pipeline(entity())
    assert (answer.code, answer.platform, answer.version) == (200, "Kubernetes", "2.0.6.0")
    assert [(call.verb, call.plural) for call in simulation.cluster.writes] == [
        ("create", "secrets"), ("create", "ingestionpipelines"), ("create", "secrets"),
    ]  # fmt: skip
    spec = pipeline(simulation)["spec"]
    assert spec["schedule"] == {"cron": "0 2 * * *", "timeZone": "UTC", "startDate": "2024-05-20T00:00:00Z"}
    assert spec["fullyQualifiedName"] == "shop.nightly"
    assert "suspend" not in spec


def test_no_secret_of_the_entity_stands_anywhere_but_in_secrets(simulation: Simulation) -> None:
    config = {"type": "DBT", "dbtConfigSource": {"dbtCloudAuthToken": "geheim-1"}}
    simulation.client.deploy_pipeline(entity(jwt=token(serial=77), sourceConfig={"config": config}))
    text = json.dumps(simulation.cluster.all(PIPELINES))
    assert "geheim-1" not in text
    assert token(serial=77) not in text
    assert json.loads(secret_value(simulation, f"{RESOURCE}-source-config", "source-config")) == {"config": config}
    assert secret_value(simulation, token_secrets(simulation)[0]["metadata"]["name"], "token") == token(serial=77)


def test_bookkeeping_of_the_server_changes_nothing(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    before = len(simulation.cluster.writes)
    simulation.client.deploy_pipeline(entity(version=0.2, updatedAt=1800000000000, updatedBy="bob", deployed=True))
    assert len(simulation.cluster.writes) == before


def test_the_same_entity_twice_writes_nothing_the_second_time(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    before = len(simulation.cluster.writes)
    answer = simulation.client.deploy_pipeline(entity())
    assert len(simulation.cluster.writes) == before
    assert "unchanged" in answer.reason


def test_the_resource_owns_the_source_configs_secret_only(
    simulation: Simulation,
) -> None:
    simulation.client.deploy_pipeline(entity())
    secrets = {s["metadata"]["name"]: s["metadata"].get("ownerReferences", []) for s in simulation.cluster.all(SECRETS)}
    assert secrets[f"{RESOURCE}-source-config"][0]["uid"] == pipeline(simulation)["metadata"]["uid"]
    assert secrets[token_secrets(simulation)[0]["metadata"]["name"]] == []


def test_one_redeploy_rotates_a_bots_token_everywhere(simulation: Simulation) -> None:
    for name in ("nightly", "weekly"):
        simulation.client.deploy_pipeline(entity(name))
    before = len(simulation.cluster.writes)
    simulation.client.deploy_pipeline(entity(jwt=token(serial=2)))
    assert len(token_secrets(simulation)) == 1
    assert secret_value(simulation, token_secrets(simulation)[0]["metadata"]["name"], "token") == token(serial=2)
    assert len(simulation.cluster.writes) == before + 1


def test_two_bots_have_two_tokens(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity("nightly"))
    simulation.client.deploy_pipeline(entity("weekly", jwt=token("profiler-bot")))
    assert len(token_secrets(simulation)) == 2


@pytest.mark.parametrize("changes", [{"enabled": False}, {"airflowConfig": airflow(pausePipeline=True)}])
def test_the_first_deploy_pauses_a_paused_entity(simulation: Simulation, changes: Body) -> None:
    simulation.client.deploy_pipeline(entity(**changes))
    assert pipeline(simulation)["spec"]["suspend"] is True


@pytest.mark.parametrize("enabled", [True, False])
def test_a_redeploy_keeps_the_pause_as_it_was_toggled(simulation: Simulation, enabled: bool) -> None:
    simulation.client.deploy_pipeline(entity(enabled=not enabled))
    simulation.client.toggle_ingestion("nightly", enabled=enabled)
    simulation.client.deploy_pipeline(entity(enabled=not enabled, loggerLevel="DEBUG"))
    spec = pipeline(simulation)["spec"]
    assert bool(spec.get("suspend")) is not enabled
    assert spec["loggerLevel"] == "DEBUG"


def test_a_redeploy_leaves_alone_what_an_entity_does_not_decide(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    mine = {"podTemplate": {"spec": {"nodeSelector": {"disk": "ssd"}}}, "history": {"successful": 9}}
    simulation.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body["spec"].update(mine))
    simulation.client.deploy_pipeline(
        entity(airflowConfig=airflow(scheduleInterval="@hourly", endDate="2030-01-01T00:00:00Z"))
    )
    simulation.client.deploy_pipeline(entity(airflowConfig=airflow(scheduleInterval="@hourly")))
    spec = pipeline(simulation)["spec"]
    assert mine.items() <= spec.items()
    assert spec["schedule"] == {"cron": "@hourly", "timeZone": "UTC", "startDate": "2024-05-20T00:00:00Z"}


def test_a_redeploy_without_a_schedule_removes_the_schedule(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.client.deploy_pipeline(entity(airflowConfig=airflow(scheduleInterval=None)))
    assert "schedule" not in pipeline(simulation)["spec"]


def test_the_same_id_with_a_new_name_of_the_service_is_an_update(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.client.deploy_pipeline(entity(service="store"))
    assert len(simulation.cluster.all(PIPELINES)) == 1
    assert pipeline(simulation)["spec"]["fullyQualifiedName"] == "store.nightly"


def test_the_same_full_name_with_a_new_id_is_adopted(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.client.deploy_pipeline(entity(id=OTHER_ID))
    assert pipeline(simulation)["metadata"]["annotations"][constants.ANNOTATION_ENTITY_ID] == OTHER_ID


def test_another_pipeline_of_the_same_bare_name_is_refused(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    before = state(simulation)
    with pytest.raises(Rejected) as caught:
        simulation.client.deploy_pipeline(entity(service="crm", id=OTHER_ID, jwt=token("other-bot")))
    assert caught.value.reason == "NameConflict"
    assert "shop.nightly" in caught.value.message
    assert RESOURCE in caught.value.message
    assert state(simulation) == before


def test_two_replicas_that_deploy_one_name_leave_one_pipeline(
    simulation: Simulation,
) -> None:
    rival = simulation.another_client()
    simulation.cluster.interleave(
        "create", lambda: rival.deploy_pipeline(entity(service="crm", id=OTHER_ID)), plural=PIPELINES.plural
    )
    with pytest.raises(Rejected, match=r"crm\.nightly"):
        simulation.client.deploy_pipeline(entity())
    assert [body["spec"]["fullyQualifiedName"] for body in simulation.cluster.all(PIPELINES)] == ["crm.nightly"]


def test_two_replicas_that_deploy_one_pipeline_both_succeed(simulation: Simulation) -> None:
    rival = simulation.another_client()
    for plural in (SECRETS.plural, PIPELINES.plural):
        simulation.cluster.interleave("create", lambda: rival.deploy_pipeline(entity()), plural=plural)
    simulation.client.deploy_pipeline(entity())
    assert len(simulation.cluster.all(PIPELINES)) == 1
    assert len(simulation.cluster.all(SECRETS)) == 2


def test_a_pipeline_that_changes_owner_is_not_overwritten(
    simulation: Simulation,
) -> None:
    simulation.client.deploy_pipeline(entity())
    rival = simulation.another_client()
    simulation.cluster.interleave(
        "merge_patch", lambda: rival.deploy_pipeline(entity(id=OTHER_ID)), plural=PIPELINES.plural
    )
    with pytest.raises(Rejected, match=r"held by shop\.nightly"):
        simulation.client.deploy_pipeline(entity(service="store"))
    assert pipeline(simulation)["metadata"]["annotations"][constants.ANNOTATION_ENTITY_ID] == OTHER_ID


def test_two_names_with_one_hash_are_distinguished(simulation: Simulation) -> None:
    body = manifest(RESOURCE, fullyQualifiedName="shop.twin")
    body["metadata"] |= {
        "labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY},
        "annotations": {constants.ANNOTATION_ENTITY_NAME: "twin"},
    }
    simulation.cluster.put(PIPELINES, body)
    with pytest.raises(NotFound):
        simulation.client.run_pipeline("nightly")
    with pytest.raises(Rejected) as caught:
        simulation.client.deploy_pipeline(entity())
    assert caught.value.reason == "NameConflict"


def test_a_status_written_meanwhile_is_not_a_reason_to_fail(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.cluster.interleave(
        "merge_patch",
        lambda: simulation.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body.update(status={"runs": []})),
    )
    simulation.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
    assert pipeline(simulation)["spec"]["loggerLevel"] == "DEBUG"


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("is_first", [True, False], ids=["first deploy", "redeploy"])
def test_the_next_deploy_completes_one_that_crashed(
    simulation: Simulation, write: int, lost: str, is_first: bool
) -> None:
    wanted = entity(
        jwt=token(serial=9), loggerLevel="DEBUG", sourceConfig={"config": {"type": "DatabaseMetadata", "x": 9}}
    )
    whole = Simulation()
    if not is_first:
        for each in (simulation, whole):
            each.client.deploy_pipeline(entity())
    whole.client.deploy_pipeline(wanted)
    verb = "create" if is_first else "merge_patch"
    plural = [SECRETS, PIPELINES, SECRETS][write].plural
    crash = OperatorError("killed")
    if write == 2:  # the second write to a Secret: let the first one pass
        simulation.cluster.interleave(
            verb,
            lambda: simulation.cluster.fail(verb, crash, plural=plural, after=lost == "after"),
            plural=PIPELINES.plural,
        )
    else:
        simulation.cluster.fail(verb, crash, plural=plural, after=lost == "after")
    with pytest.raises(OperatorError, match="killed"):
        simulation.client.deploy_pipeline(wanted)
    simulation.client.deploy_pipeline(wanted)
    assert state(simulation) == state(whole)
    before = len(simulation.cluster.writes)
    simulation.client.deploy_pipeline(wanted)
    assert len(simulation.cluster.writes) == before


def test_a_deploy_waits_for_an_earlier_pipelines_deletion(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.cluster.edit(
        PIPELINES, NAMESPACE, RESOURCE, lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z")
    )
    uid = pipeline(simulation)["metadata"]["uid"]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        simulation.clock.forward(seconds=seconds)
        if len(waited) == 3:
            simulation.cluster.delete(PIPELINES, NAMESPACE, RESOURCE)

    simulation.another_client(sleep).deploy_pipeline(entity())
    assert pipeline(simulation)["metadata"]["uid"] != uid
    assert len(waited) == 3


def test_a_deploy_fails_after_its_bound(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.cluster.edit(
        PIPELINES, NAMESPACE, RESOURCE, lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z")
    )
    started = simulation.clock.now()
    with pytest.raises(Unavailable, match="still being deleted"):
        simulation.client.deploy_pipeline(entity())
    assert 10 <= (simulation.clock.now() - started).total_seconds() <= 11


def test_a_deploy_that_could_not_be_rendered_writes_nothing(simulation: Simulation) -> None:
    with pytest.raises(Rejected, match="dataInsight"):
        simulation.client.deploy_pipeline(entity(pipelineType="dataInsight"))
    assert simulation.cluster.writes == []


def test_ignored_fields_are_named_on_the_resource(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity(airflowConfig=airflow(email="ada@example.org", pipelineCatchup=True)))
    annotations = pipeline(simulation)["metadata"]["annotations"]
    assert annotations[constants.ANNOTATION_IGNORED_FIELDS] == "airflowConfig.email, airflowConfig.pipelineCatchup"
    simulation.client.deploy_pipeline(entity())
    assert constants.ANNOTATION_IGNORED_FIELDS not in pipeline(simulation)["metadata"]["annotations"]


def test_another_resource_of_the_derived_name_is_left_alone(
    simulation: Simulation,
) -> None:
    simulation.cluster.put(PIPELINES, manifest(RESOURCE, fullyQualifiedName="shop.other"))
    with pytest.raises(Rejected) as caught:
        simulation.client.deploy_pipeline(entity())
    assert caught.value.reason == "NameConflict"


def test_a_secret_of_another_client_is_left_alone(simulation: Simulation) -> None:
    simulation.cluster.put(
        SECRETS,
        {
            "metadata": {"name": f"{RESOURCE}-source-config", "namespace": NAMESPACE},
            "data": {"source-config": "bWluZQ=="},
        },
    )
    with pytest.raises(Rejected, match="was not changed"):
        simulation.client.deploy_pipeline(entity())
    assert secret_value(simulation, f"{RESOURCE}-source-config", "source-config") == "mine"


def test_an_orphaned_secret_gets_the_new_owner(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    secret = simulation.cluster.get(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
    simulation.cluster.delete(PIPELINES, NAMESPACE, RESOURCE)
    assert secret is not None
    simulation.cluster.put(SECRETS, secret)
    simulation.client.deploy_pipeline(entity())
    after = simulation.cluster.get(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
    assert after is not None
    assert [o["uid"] for o in after["metadata"]["ownerReferences"]] == [pipeline(simulation)["metadata"]["uid"]]


def test_a_conflict_that_never_ends_is_an_error(simulation: Simulation) -> None:
    simulation.client.deploy_pipeline(entity())
    simulation.cluster.fail("merge_patch", Conflict("busy", code=409), times=1000)
    with pytest.raises(Unavailable, match="busy"):
        simulation.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
