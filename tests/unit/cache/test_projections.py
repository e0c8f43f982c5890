"""What the cache keeps of an IngestionPipeline."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.cache.projections import read_pipeline
from testing.objects import NAMESPACE, UID, Body, at, manifest


def stored(name: str = "nightly", **changes: Any) -> Body:
    """A pipeline as the API server returns it."""
    body = manifest(name, **changes)
    body["metadata"] |= {"uid": UID, "generation": 3, "resourceVersion": "7", "creationTimestamp": at()}
    return body


@pytest.mark.parametrize(
    ("body", "bare_name"),
    [
        (stored(), "nightly"),
        (stored("shop.nightly"), "shop.nightly"),
        (stored("resource", fullyQualifiedName="shop.nightly"), "nightly"),
        (stored("resource", fullyQualifiedName='shop."a.b"'), "a.b"),
        (stored(service={"type": "databaseService", "name": "sh.op"}), "nightly"),
    ],
)
def test_names_are_those_of_the_pipeline_model(body: Body, bare_name: str) -> None:
    record = read_pipeline(body)
    assert record.full_name == Pipeline.parse(body).fully_qualified_name
    assert record.bare_name == bare_name
    assert (record.namespace, record.name, record.uid) == (NAMESPACE, body["metadata"]["name"], UID)
    assert (record.resource_version, record.generation, record.is_deleting) == ("7", 3, False)
    assert record.host_port == "http://openmetadata:8585/api"


@pytest.mark.parametrize("is_deployed", [True, False])
def test_only_a_deployed_pipeline_is_named_by_its_entity(is_deployed: bool) -> None:
    body = stored()
    body["metadata"]["annotations"] = {constants.ANNOTATION_ENTITY_NAME: "Ünïcode"}
    if is_deployed:
        body["metadata"]["labels"] = {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY}
    record = read_pipeline(body)
    assert record.is_deployed is is_deployed
    assert record.bare_name == ("Ünïcode" if is_deployed else "nightly")


def test_the_body_comes_back_without_bookkeeping() -> None:
    body = stored(fullyQualifiedName="shop.Ünïcode \ud800")
    expected = deepcopy(body)
    body["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}, "time": at(5)}]
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"}
    expected["metadata"]["annotations"] = {"kept": "yes"}
    del body["apiVersion"], body["kind"]  # as in lists of some kinds
    untouched = deepcopy(body)
    record = read_pipeline(body)
    assert record.body() == expected
    assert record.body() is not record.body()
    assert body == untouched


def test_the_last_writer_of_the_spec_is_known() -> None:
    body = stored()
    body["metadata"]["managedFields"] = [
        {"manager": "argocd", "time": at(60), "fieldsV1": {"f:spec": {}}},
        {"manager": "ingestion-operator-status", "time": at(90), "fieldsV1": {"f:status": {}}},
        {"manager": "kubectl", "time": at(30), "fieldsV1": {"f:spec": {}}},
    ]
    record = read_pipeline(body)
    assert record.spec_changed_at == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
    assert record.spec_manager == "argocd"
    assert read_pipeline(stored()).spec_changed_at is None


def test_the_kill_annotation_is_kept() -> None:
    body = stored()
    body["metadata"] |= {"annotations": {constants.ANNOTATION_KILL: at()}, "deletionTimestamp": at()}
    record = read_pipeline(body)
    assert (record.kill, record.is_deleting) == (at(), True)
