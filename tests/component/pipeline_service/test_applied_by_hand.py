"""A pipeline that somebody keeps with kubectl or GitOps, asked for through the client."""

import base64
from typing import Any

import pytest

from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.ports import PIPELINES, SECRETS
from testing.entities import airflow, entity
from testing.objects import NAMESPACE, Body, manifest
from testing.world import World


def applied(world: World, **changes: Any) -> Body:
    body = manifest(
        "gitops",
        **{
            "fullyQualifiedName": "shop.nightly",
            "sourceConfig": entity()["sourceConfig"],
            "schedule": {"cron": "0 2 * * *", "startDate": "2024-05-20T00:00:00Z"},
        }
        | changes,
    )
    body["metadata"]["managedFields"] = [
        {"manager": "argocd", "fieldsV1": {"f:spec": {}}, "time": "2026-01-01T00:00:00Z"},
        {"manager": "ingestion-operator-status", "fieldsV1": {"f:status": {}}, "time": "2026-02-01T00:00:00Z"},
    ]
    return world.cluster.put(PIPELINES, body)


def test_a_deploy_that_says_the_same_is_answered_and_writes_nothing(world: World) -> None:
    applied(world)
    assert world.client.deploy_pipeline(entity()).code == 200
    assert world.cluster.writes == []


def test_a_deploy_that_would_change_it_is_refused_naming_its_manager_and_the_fields(world: World) -> None:
    applied(world)
    with pytest.raises(Rejected, match=r"argocd.*loggerLevel") as caught:
        world.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
    assert caught.value.reason == "ManagedElsewhere"
    assert world.cluster.writes == []


def test_a_deploy_of_another_pipeline_of_its_bare_name_is_refused(world: World) -> None:
    applied(world)
    with pytest.raises(Rejected, match=r"shop\.nightly.*data/gitops"):
        world.client.deploy_pipeline(entity(service="crm"))
    assert world.cluster.writes == []


def test_a_source_configuration_in_a_secret_is_compared_too(world: World) -> None:
    applied(world, sourceConfig=None, sourceConfigSecretRef={"name": "mine", "key": "config.yaml"})
    text = base64.b64encode(b"config:\n  type: DatabaseMetadata\n  includeTables: false\n").decode()
    world.cluster.put(SECRETS, {"metadata": {"name": "mine", "namespace": NAMESPACE}, "data": {"config.yaml": text}})
    with pytest.raises(Rejected, match="sourceConfig"):
        world.client.deploy_pipeline(entity())
    same = {"config": {"type": "DatabaseMetadata", "includeTables": False}}
    assert world.client.deploy_pipeline(entity(sourceConfig=same)).code == 200


def test_it_can_be_paused_and_run_but_not_deleted(world: World) -> None:
    applied(world)
    world.client.toggle_ingestion("nightly", enabled=False)
    body = world.cluster.get(PIPELINES, NAMESPACE, "gitops")
    assert body is not None
    assert body["spec"]["suspend"] is True
    assert world.client.run_pipeline("nightly").run_id
    with pytest.raises(Rejected, match="argocd"):
        world.client.delete_pipeline("nightly")


def test_two_of_one_name_are_refused_by_name(world: World) -> None:
    applied(world)
    world.cluster.put(PIPELINES, manifest("twin", fullyQualifiedName="crm.nightly"))
    with pytest.raises(Rejected, match="gitops, twin"):
        world.client.run_pipeline("nightly")


def test_what_an_entity_cannot_say_is_no_difference(world: World) -> None:
    applied(world, concurrency={"policy": "Replace", "maxQueuedRuns": 50})
    assert world.client.deploy_pipeline(entity()).code == 200
    with pytest.raises(Rejected, match=r"concurrency\.maxActiveRuns"):
        world.client.deploy_pipeline(entity(airflowConfig=airflow(maxActiveRuns=2, concurrency=2)))


def test_it_is_not_found_once_it_has_another_name(world: World) -> None:
    applied(world)
    world.client.get_pipeline_status("nightly")
    world.cluster.edit(
        PIPELINES, NAMESPACE, "gitops", lambda body: body["spec"].update(fullyQualifiedName="shop.hourly")
    )
    with pytest.raises(NotFound, match="no pipeline 'nightly'"):
        world.client.get_pipeline_status("nightly")
    assert world.client.get_pipeline_status("hourly") == []
