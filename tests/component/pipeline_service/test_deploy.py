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
from testing.world import World

RESOURCE = resource_name("nightly")


def pipeline(world: World, name: str = RESOURCE) -> Body:
    body = world.cluster.get(PIPELINES, NAMESPACE, name)
    assert body is not None
    return body


def secret_value(world: World, name: str, key: str) -> str:
    body = world.cluster.get(SECRETS, NAMESPACE, name)
    assert body is not None
    return base64.b64decode(body["data"][key]).decode()


def token_secrets(world: World) -> list[Body]:
    return [s for s in world.cluster.all(SECRETS) if s["metadata"]["name"].startswith("openmetadata-token-")]


def state(world: World) -> Any:
    """Everything there is, but for versions."""

    def bare(body: Body) -> Body:
        metadata = {k: v for k, v in body["metadata"].items() if k not in ("resourceVersion", "uid", "generation")}
        owners = [{k: v for k, v in o.items() if k != "uid"} for o in metadata.pop("ownerReferences", [])]
        return body | {"metadata": metadata | {"ownerReferences": owners}}

    return sorted((bare(body) for kind in (PIPELINES, SECRETS) for body in world.cluster.all(kind)), key=json.dumps)


def test_the_first_deploy_writes_the_token_the_resource_and_its_source_configuration(world: World) -> None:
    answer = world.client.deploy_pipeline(entity())
    assert (answer.code, answer.platform, answer.version) == (200, "Kubernetes", "2.0.6.0")
    assert [(call.verb, call.plural) for call in world.cluster.writes] == [
        ("create", "secrets"), ("create", "ingestionpipelines"), ("create", "secrets"),
    ]  # fmt: skip
    spec = pipeline(world)["spec"]
    assert spec["schedule"] == {"cron": "0 2 * * *", "timeZone": "UTC", "startDate": "2024-05-20T00:00:00Z"}
    assert spec["fullyQualifiedName"] == "shop.nightly"
    assert "suspend" not in spec


def test_no_secret_of_the_entity_stands_anywhere_but_in_secrets(world: World) -> None:
    config = {"type": "DBT", "dbtConfigSource": {"dbtCloudAuthToken": "geheim-1"}}
    world.client.deploy_pipeline(entity(jwt=token(serial=77), sourceConfig={"config": config}))
    text = json.dumps(world.cluster.all(PIPELINES))
    assert "geheim-1" not in text
    assert token(serial=77) not in text
    assert json.loads(secret_value(world, f"{RESOURCE}-source-config", "source-config")) == {"config": config}
    assert secret_value(world, token_secrets(world)[0]["metadata"]["name"], "token") == token(serial=77)


def test_bookkeeping_of_the_server_changes_nothing(world: World) -> None:
    world.client.deploy_pipeline(entity())
    before = len(world.cluster.writes)
    world.client.deploy_pipeline(entity(version=0.2, updatedAt=1800000000000, updatedBy="bob", deployed=True))
    assert len(world.cluster.writes) == before


def test_the_same_entity_twice_writes_nothing_the_second_time(world: World) -> None:
    world.client.deploy_pipeline(entity())
    before = len(world.cluster.writes)
    answer = world.client.deploy_pipeline(entity())
    assert len(world.cluster.writes) == before
    assert "unchanged" in answer.reason


def test_the_source_configurations_secret_belongs_to_the_resource_and_the_tokens_to_nobody(world: World) -> None:
    world.client.deploy_pipeline(entity())
    secrets = {s["metadata"]["name"]: s["metadata"].get("ownerReferences", []) for s in world.cluster.all(SECRETS)}
    assert secrets[f"{RESOURCE}-source-config"][0]["uid"] == pipeline(world)["metadata"]["uid"]
    assert secrets[token_secrets(world)[0]["metadata"]["name"]] == []


def test_one_redeploy_rotates_the_token_of_all_pipelines_of_a_bot(world: World) -> None:
    for name in ("nightly", "weekly"):
        world.client.deploy_pipeline(entity(name))
    before = len(world.cluster.writes)
    world.client.deploy_pipeline(entity(jwt=token(serial=2)))
    assert len(token_secrets(world)) == 1
    assert secret_value(world, token_secrets(world)[0]["metadata"]["name"], "token") == token(serial=2)
    assert len(world.cluster.writes) == before + 1


def test_two_bots_have_two_tokens(world: World) -> None:
    world.client.deploy_pipeline(entity("nightly"))
    world.client.deploy_pipeline(entity("weekly", jwt=token("profiler-bot")))
    assert len(token_secrets(world)) == 2


@pytest.mark.parametrize("changes", [{"enabled": False}, {"airflowConfig": airflow(pausePipeline=True)}])
def test_the_first_deploy_pauses_what_the_entity_says_is_paused(world: World, changes: Body) -> None:
    world.client.deploy_pipeline(entity(**changes))
    assert pipeline(world)["spec"]["suspend"] is True


@pytest.mark.parametrize("enabled", [True, False])
def test_a_redeploy_keeps_the_pause_as_it_was_toggled(world: World, enabled: bool) -> None:
    world.client.deploy_pipeline(entity(enabled=not enabled))
    world.client.toggle_ingestion("nightly", enabled=enabled)
    world.client.deploy_pipeline(entity(enabled=not enabled, loggerLevel="DEBUG"))
    spec = pipeline(world)["spec"]
    assert bool(spec.get("suspend")) is not enabled
    assert spec["loggerLevel"] == "DEBUG"


def test_a_redeploy_leaves_alone_what_an_entity_does_not_decide(world: World) -> None:
    world.client.deploy_pipeline(entity())
    mine = {"podTemplate": {"spec": {"nodeSelector": {"disk": "ssd"}}}, "history": {"successful": 9}}
    world.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body["spec"].update(mine))
    world.client.deploy_pipeline(
        entity(airflowConfig=airflow(scheduleInterval="@hourly", endDate="2030-01-01T00:00:00Z"))
    )
    world.client.deploy_pipeline(entity(airflowConfig=airflow(scheduleInterval="@hourly")))
    spec = pipeline(world)["spec"]
    assert mine.items() <= spec.items()
    assert spec["schedule"] == {"cron": "@hourly", "timeZone": "UTC", "startDate": "2024-05-20T00:00:00Z"}


def test_a_redeploy_without_a_schedule_makes_the_pipeline_run_on_demand(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.client.deploy_pipeline(entity(airflowConfig=airflow(scheduleInterval=None)))
    assert "schedule" not in pipeline(world)["spec"]


def test_the_same_id_with_a_new_name_of_the_service_is_an_update(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.client.deploy_pipeline(entity(service="store"))
    assert len(world.cluster.all(PIPELINES)) == 1
    assert pipeline(world)["spec"]["fullyQualifiedName"] == "store.nightly"


def test_the_same_full_name_with_a_new_id_is_adopted(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.client.deploy_pipeline(entity(id=OTHER_ID))
    assert pipeline(world)["metadata"]["annotations"][constants.ANNOTATION_ENTITY_ID] == OTHER_ID


def test_another_pipeline_of_the_same_bare_name_is_refused_and_nothing_is_written(world: World) -> None:
    world.client.deploy_pipeline(entity())
    before = state(world)
    with pytest.raises(Rejected) as caught:
        world.client.deploy_pipeline(entity(service="crm", id=OTHER_ID, jwt=token("other-bot")))
    assert caught.value.reason == "NameConflict"
    assert "shop.nightly" in caught.value.message
    assert RESOURCE in caught.value.message
    assert state(world) == before


def test_two_replicas_that_deploy_two_pipelines_of_one_name_at_once_end_with_one_of_them(world: World) -> None:
    rival = world.another_client()
    world.cluster.interleave(
        "create", lambda: rival.deploy_pipeline(entity(service="crm", id=OTHER_ID)), plural=PIPELINES.plural
    )
    with pytest.raises(Rejected, match=r"crm\.nightly"):
        world.client.deploy_pipeline(entity())
    assert [body["spec"]["fullyQualifiedName"] for body in world.cluster.all(PIPELINES)] == ["crm.nightly"]


def test_two_replicas_that_deploy_the_same_pipeline_at_once_both_succeed(world: World) -> None:
    rival = world.another_client()
    for plural in (SECRETS.plural, PIPELINES.plural):
        world.cluster.interleave("create", lambda: rival.deploy_pipeline(entity()), plural=plural)
    world.client.deploy_pipeline(entity())
    assert len(world.cluster.all(PIPELINES)) == 1
    assert len(world.cluster.all(SECRETS)) == 2


def test_a_pipeline_that_becomes_anothers_between_reading_and_writing_is_not_overwritten(world: World) -> None:
    world.client.deploy_pipeline(entity())
    rival = world.another_client()
    world.cluster.interleave("merge_patch", lambda: rival.deploy_pipeline(entity(id=OTHER_ID)), plural=PIPELINES.plural)
    with pytest.raises(Rejected, match=r"held by shop\.nightly"):
        world.client.deploy_pipeline(entity(service="store"))
    assert pipeline(world)["metadata"]["annotations"][constants.ANNOTATION_ENTITY_ID] == OTHER_ID


def test_two_names_with_one_hash_are_told_apart(world: World) -> None:
    body = manifest(RESOURCE, fullyQualifiedName="shop.twin")
    body["metadata"] |= {
        "labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY},
        "annotations": {constants.ANNOTATION_ENTITY_NAME: "twin"},
    }
    world.cluster.put(PIPELINES, body)
    with pytest.raises(NotFound):
        world.client.run_pipeline("nightly")
    with pytest.raises(Rejected) as caught:
        world.client.deploy_pipeline(entity())
    assert caught.value.reason == "NameConflict"


def test_a_status_written_meanwhile_is_no_reason_to_fail(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.cluster.interleave(
        "merge_patch",
        lambda: world.cluster.edit(PIPELINES, NAMESPACE, RESOURCE, lambda body: body.update(status={"runs": []})),
    )
    world.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
    assert pipeline(world)["spec"]["loggerLevel"] == "DEBUG"


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize("write", range(3))
@pytest.mark.parametrize("is_first", [True, False], ids=["first deploy", "redeploy"])
def test_the_next_deploy_completes_what_a_crash_between_any_two_writes_left(
    world: World, write: int, lost: str, is_first: bool
) -> None:
    wanted = entity(
        jwt=token(serial=9), loggerLevel="DEBUG", sourceConfig={"config": {"type": "DatabaseMetadata", "x": 9}}
    )
    whole = World()
    if not is_first:
        for each in (world, whole):
            each.client.deploy_pipeline(entity())
    whole.client.deploy_pipeline(wanted)
    verb = "create" if is_first else "merge_patch"
    plural = [SECRETS, PIPELINES, SECRETS][write].plural
    crash = OperatorError("killed")
    if write == 2:  # the second write to a Secret: let the first one pass
        world.cluster.interleave(
            verb, lambda: world.cluster.fail(verb, crash, plural=plural, after=lost == "after"), plural=PIPELINES.plural
        )
    else:
        world.cluster.fail(verb, crash, plural=plural, after=lost == "after")
    with pytest.raises(OperatorError, match="killed"):
        world.client.deploy_pipeline(wanted)
    world.client.deploy_pipeline(wanted)
    assert state(world) == state(whole)
    before = len(world.cluster.writes)
    world.client.deploy_pipeline(wanted)
    assert len(world.cluster.writes) == before


def test_a_deploy_waits_for_an_earlier_pipeline_of_the_name_to_go(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.cluster.edit(
        PIPELINES, NAMESPACE, RESOURCE, lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z")
    )
    uid = pipeline(world)["metadata"]["uid"]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        world.clock.forward(seconds=seconds)
        if len(waited) == 3:
            world.cluster.delete(PIPELINES, NAMESPACE, RESOURCE)

    world.another_client(sleep).deploy_pipeline(entity())
    assert pipeline(world)["metadata"]["uid"] != uid
    assert len(waited) == 3


def test_a_deploy_gives_up_after_its_bound(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.cluster.edit(
        PIPELINES, NAMESPACE, RESOURCE, lambda body: body["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z")
    )
    started = world.clock.now()
    with pytest.raises(Unavailable, match="still being deleted"):
        world.client.deploy_pipeline(entity())
    assert 10 <= (world.clock.now() - started).total_seconds() <= 11


def test_a_deploy_that_could_not_be_rendered_writes_nothing(world: World) -> None:
    with pytest.raises(Rejected, match="dataInsight"):
        world.client.deploy_pipeline(entity(pipelineType="dataInsight"))
    assert world.cluster.writes == []


def test_what_has_no_effect_is_named_on_the_resource_and_goes_with_its_cause(world: World) -> None:
    world.client.deploy_pipeline(entity(airflowConfig=airflow(email="ada@example.org", pipelineCatchup=True)))
    annotations = pipeline(world)["metadata"]["annotations"]
    assert annotations[constants.ANNOTATION_IGNORED_FIELDS] == "airflowConfig.email, airflowConfig.pipelineCatchup"
    world.client.deploy_pipeline(entity())
    assert constants.ANNOTATION_IGNORED_FIELDS not in pipeline(world)["metadata"]["annotations"]


def test_a_resource_that_holds_the_derived_name_without_being_the_pipeline_is_left_alone(world: World) -> None:
    world.cluster.put(PIPELINES, manifest(RESOURCE, fullyQualifiedName="shop.other"))
    with pytest.raises(Rejected) as caught:
        world.client.deploy_pipeline(entity())
    assert caught.value.reason == "NameConflict"


def test_a_secret_of_somebody_else_is_left_alone(world: World) -> None:
    world.cluster.put(
        SECRETS,
        {
            "metadata": {"name": f"{RESOURCE}-source-config", "namespace": NAMESPACE},
            "data": {"source-config": "bWluZQ=="},
        },
    )
    with pytest.raises(Rejected, match="left alone"):
        world.client.deploy_pipeline(entity())
    assert secret_value(world, f"{RESOURCE}-source-config", "source-config") == "mine"


def test_a_secret_that_an_earlier_pipeline_left_gets_the_new_owner(world: World) -> None:
    world.client.deploy_pipeline(entity())
    secret = world.cluster.get(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
    world.cluster.delete(PIPELINES, NAMESPACE, RESOURCE)
    assert secret is not None
    world.cluster.put(SECRETS, secret)
    world.client.deploy_pipeline(entity())
    after = world.cluster.get(SECRETS, NAMESPACE, f"{RESOURCE}-source-config")
    assert after is not None
    assert [o["uid"] for o in after["metadata"]["ownerReferences"]] == [pipeline(world)["metadata"]["uid"]]


def test_a_conflict_that_never_ends_is_given_up(world: World) -> None:
    world.client.deploy_pipeline(entity())
    world.cluster.fail("merge_patch", Conflict("busy", code=409), times=1000)
    with pytest.raises(Unavailable, match="busy"):
        world.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
