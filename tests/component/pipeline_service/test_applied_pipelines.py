"""A pipeline that a user applies with kubectl or GitOps, requested through the client."""

import base64
from typing import Any

import pytest

from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.ports import PIPELINES, SECRETS
from testing.entities import airflow, entity
from testing.objects import NAMESPACE, Body, manifest
from testing.simulation import Simulation


def applied(simulation: Simulation, **changes: Any) -> Body:
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
    return simulation.cluster.put(PIPELINES, body)


def test_an_identical_deploy_writes_nothing(simulation: Simulation) -> None:
    applied(simulation)
    assert simulation.client.deploy_pipeline(entity()).code == 200
    assert simulation.cluster.writes == []


def test_a_deploy_that_would_change_it_is_refused(simulation: Simulation) -> None:
    applied(simulation)
    with pytest.raises(Rejected, match=r"argocd.*loggerLevel") as caught:
        simulation.client.deploy_pipeline(entity(loggerLevel="DEBUG"))
    assert caught.value.reason == "ManagedElsewhere"
    assert simulation.cluster.writes == []


def test_a_deploy_of_another_pipeline_of_the_name_is_refused(simulation: Simulation) -> None:
    applied(simulation)
    with pytest.raises(Rejected, match=r"shop\.nightly.*data/gitops"):
        simulation.client.deploy_pipeline(entity(service="crm"))
    assert simulation.cluster.writes == []


def test_a_source_configuration_in_a_secret_is_compared_too(simulation: Simulation) -> None:
    applied(simulation, sourceConfig=None, sourceConfigSecretRef={"name": "mine", "key": "config.yaml"})
    text = base64.b64encode(b"config:\n  type: DatabaseMetadata\n  includeTables: false\n").decode()
    simulation.cluster.put(
        SECRETS, {"metadata": {"name": "mine", "namespace": NAMESPACE}, "data": {"config.yaml": text}}
    )
    with pytest.raises(Rejected, match="sourceConfig"):
        simulation.client.deploy_pipeline(entity())
    same = {"config": {"type": "DatabaseMetadata", "includeTables": False}}
    assert simulation.client.deploy_pipeline(entity(sourceConfig=same)).code == 200


def test_it_can_be_paused_and_run_but_not_deleted(simulation: Simulation) -> None:
    applied(simulation)
    simulation.client.toggle_ingestion("nightly", enabled=False)
    body = simulation.cluster.get(PIPELINES, NAMESPACE, "gitops")
    assert body is not None
    assert body["spec"]["suspend"] is True
    assert simulation.client.run_pipeline("nightly").run_id
    with pytest.raises(Rejected, match="argocd"):
        simulation.client.delete_pipeline("nightly")


def test_two_of_one_name_are_refused_by_name(simulation: Simulation) -> None:
    applied(simulation)
    simulation.cluster.put(PIPELINES, manifest("twin", fullyQualifiedName="crm.nightly"))
    with pytest.raises(Rejected, match="gitops, twin"):
        simulation.client.run_pipeline("nightly")


def test_what_an_entity_cannot_express_is_not_a_difference(simulation: Simulation) -> None:
    applied(simulation, concurrency={"policy": "Replace", "maxQueuedRuns": 50})
    assert simulation.client.deploy_pipeline(entity()).code == 200
    with pytest.raises(Rejected, match=r"concurrency\.maxActiveRuns"):
        simulation.client.deploy_pipeline(entity(airflowConfig=airflow(maxActiveRuns=2, concurrency=2)))


def test_it_is_not_found_once_it_has_another_name(simulation: Simulation) -> None:
    applied(simulation)
    simulation.client.get_pipeline_status("nightly")
    simulation.cluster.edit(
        PIPELINES, NAMESPACE, "gitops", lambda body: body["spec"].update(fullyQualifiedName="shop.hourly")
    )
    with pytest.raises(NotFound, match="no pipeline 'nightly'"):
        simulation.client.get_pipeline_status("nightly")
    assert simulation.client.get_pipeline_status("hourly") == []
