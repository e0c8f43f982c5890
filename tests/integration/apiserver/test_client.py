"""The operator's client against a real API server: verbs, errors, bounds."""

import uuid
from typing import Any

import pytest

from ingestion_operator.adapters.kube import client as module
from ingestion_operator.adapters.kube.client import KubernetesCluster, read_configuration
from ingestion_operator.adapters.kube.credentials import read_credentials
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.constants import FIELD_MANAGER, LABEL_PIPELINE, STATUS_FIELD_MANAGER
from ingestion_operator.errors import ClusterError, Conflict, Invalid, NotFound
from ingestion_operator.k8s.diff import contains
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, SECRETS, ClusterApi, Kind
from testcluster.handle import Cluster
from testing.config_maps import CONFIG_MAPS, config_map, fresh
from testing.fake_cluster import FakeCluster
from testing.objects import Body, manifest


def apply(api: ClusterApi, body: Body) -> Body:
    return api.apply(CONFIG_MAPS, body, field_manager=FIELD_MANAGER)


@pytest.fixture(params=["the real one", "the one in memory"])
def either(request: pytest.FixtureRequest, api: KubernetesCluster) -> ClusterApi:
    """Both API servers that tests use: the one in memory must do as the real one does."""
    return api if request.param == "the real one" else FakeCluster()


def test_an_object_is_created_read_and_listed(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    created = either.create(CONFIG_MAPS, config_map(namespace, name, labels={"x": name}, a="1"))
    assert either.get(CONFIG_MAPS, namespace, name) == created
    assert either.list(CONFIG_MAPS, namespace, {"x": name}) == [created]
    assert either.list(CONFIG_MAPS, namespace, {"x": name, "y": "z"}) == []
    assert [
        found["metadata"]["name"] for found in either.list(CONFIG_MAPS, namespace, {}, fields={"metadata.name": name})
    ] == [name]


@pytest.mark.parametrize("kind", [PIPELINES, CRONJOBS, JOBS, PODS, SECRETS, EVENTS], ids=lambda kind: kind.plural)
def test_every_kind_is_found_and_what_is_not_there_is_none(api: KubernetesCluster, namespace: str, kind: Kind) -> None:
    assert api.get(kind, namespace, "absent") is None
    assert api.list(kind, namespace, {LABEL_PIPELINE: "absent"}) == []


def test_an_unserved_kind_is_not_found(api: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(NotFound) as caught:
        api.list(Kind("no.such.group/v1", "X", "xs"), namespace, {})
    assert caught.value.code == 404


def test_a_list_is_read_to_its_end_page_by_page(
    api: KubernetesCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = fresh()
    names = {f"{label}-{number}" for number in range(7)}
    for name in names:
        api.create(CONFIG_MAPS, config_map(namespace, name, labels={"page": label}))
    monkeypatch.setattr(module, "_PAGE_SIZE", 3)
    listed = [body["metadata"]["name"] for body in api.list(CONFIG_MAPS, namespace, {}, exclude_label="nothing")]
    assert len(listed) == len(set(listed))
    assert names < set(listed)  # and kube-root-ca.crt


def test_creating_a_name_that_is_taken_is_a_conflict(either: ClusterApi, namespace: str) -> None:
    body = config_map(namespace, fresh())
    either.create(CONFIG_MAPS, body)
    with pytest.raises(Conflict, match="already exists") as caught:
        either.create(CONFIG_MAPS, body)
    assert caught.value.code == 409


def test_an_apply_creates_then_changes_then_prunes(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    first = apply(either, config_map(namespace, name, a="1", b="2"))
    second = apply(either, config_map(namespace, name, a="1"))
    assert (first["data"], second["data"]) == ({"a": "1", "b": "2"}, {"a": "1"})


def test_an_apply_takes_over_only_its_fields(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    either.create(CONFIG_MAPS, config_map(namespace, name, a="theirs", b="theirs"))
    assert apply(either, config_map(namespace, name, a="ours"))["data"] == {"a": "ours", "b": "theirs"}


def test_an_apply_without_a_change_keeps_the_resource_version(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    first, second = (apply(either, config_map(namespace, name, a="1")) for _ in range(2))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_a_stale_resource_version_is_a_conflict(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    old = apply(either, config_map(namespace, name, a="1"))["metadata"]["resourceVersion"]
    apply(either, config_map(namespace, name, a="2"))
    stale = config_map(namespace, name, a="3")
    stale["metadata"]["resourceVersion"] = old
    with pytest.raises(Conflict):
        apply(either, stale)


def test_a_stale_or_orphaned_status_is_a_conflict(either: ClusterApi, namespace: str) -> None:
    created = either.create(PIPELINES, manifest("stale", namespace))
    either.merge_patch(PIPELINES, namespace, "stale", {"spec": {"suspend": True}})
    body = manifest("stale", namespace) | {"status": {"observedGeneration": 1}}
    del body["spec"]
    body["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        either.apply(PIPELINES, body, field_manager=STATUS_FIELD_MANAGER, subresource="status")
    either.delete(PIPELINES, namespace, "stale", propagation="Background")
    with pytest.raises(ClusterError) as caught:
        either.apply(PIPELINES, body, field_manager=STATUS_FIELD_MANAGER, subresource="status")
    assert caught.value.code in (404, 409)
    assert either.get(PIPELINES, namespace, "stale") is None


def test_the_uid_of_another_object_is_a_conflict(either: ClusterApi, namespace: str) -> None:
    name, absent = fresh(), fresh()
    apply(either, config_map(namespace, name, a="1"))
    for target in (name, absent):
        body = config_map(namespace, target, a="2")
        body["metadata"]["uid"] = str(uuid.uuid4())
        with pytest.raises(Conflict):
            apply(either, body)
    with pytest.raises(Conflict):
        either.merge_patch(CONFIG_MAPS, namespace, name, {"metadata": {"uid": str(uuid.uuid4())}, "data": {"a": "2"}})
    live = either.get(CONFIG_MAPS, namespace, name)
    assert live is not None
    assert live["data"] == {"a": "1"}
    assert either.get(CONFIG_MAPS, namespace, absent) is None


def test_a_merge_patch_changes_what_it_names(either: ClusterApi, namespace: str) -> None:
    name = fresh()
    either.create(CONFIG_MAPS, config_map(namespace, name, a="1", b="2"))
    assert either.merge_patch(CONFIG_MAPS, namespace, name, {"data": {"a": None, "c": "3"}})["data"] == {
        "b": "2",
        "c": "3",
    }
    with pytest.raises(NotFound):
        either.merge_patch(CONFIG_MAPS, namespace, "absent", {"data": {}})


def test_the_status_of_a_cronjob_is_patched_alone(api: KubernetesCluster, namespace: str) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    name, tick = fresh(), "2026-01-01T00:00:00Z"
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    uid = api.create(CRONJOBS, body)["metadata"]["uid"]
    patch: Body = {"metadata": {"uid": uid}, "spec": {"suspend": False}, "status": {"lastScheduleTime": tick}}
    after = api.merge_patch(CRONJOBS, namespace, name, patch, subresource="status")
    assert after["status"] == {"lastScheduleTime": tick}
    assert after["spec"]["suspend"] is True
    patch["metadata"]["uid"] = str(uuid.uuid4())
    with pytest.raises(Conflict):
        api.merge_patch(CRONJOBS, namespace, name, patch, subresource="status")


def test_what_the_api_server_refuses_is_invalid_with_its_words(api: KubernetesCluster, namespace: str) -> None:
    with pytest.raises(Invalid, match=r"HTTP 422: .*cron must have five fields"):
        api.create(PIPELINES, manifest(namespace=namespace, schedule={"cron": "nonsense"}))
    with pytest.raises(Invalid, match="HTTP 400"):
        api.create(CONFIG_MAPS, config_map(namespace, fresh()) | {"data": "no map"})


def test_a_missing_kubeconfig_is_reported_with_both_remedies(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for kubeconfig in (None, str(tmp_path / "absent")):
        with pytest.raises(ClusterError, match="run in a pod with a service account, or set --kubeconfig"):
            read_configuration(kubeconfig)


def test_watches_and_client_use_the_same_server(cluster: Cluster) -> None:
    login = read_credentials(str(cluster.kubeconfig))
    assert login.server == read_configuration(str(cluster.kubeconfig)).host
    assert login.token or login.certificate_path
    assert not login.insecure


def test_a_stored_pipeline_is_read_by_the_model(api: KubernetesCluster, namespace: str) -> None:
    created = api.create(PIPELINES, manifest("read", namespace))
    found = Pipeline.parse(created)
    assert (found.namespace, found.name, found.generation) == (namespace, "read", 1)
    assert contains(created, manifest("read", namespace))
