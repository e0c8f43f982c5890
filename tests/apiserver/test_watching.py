"""What the watches ask a real API server for, and get."""

import asyncio
import json
from typing import Any

import pytest
from ingestion_operator.controllers.handlers import METADATA_ONLY
from ingestion_operator.kube.watching import Page, watch_session

from ingestion_operator.kube.client import KubernetesCluster
from ingestion_operator.kube.login import read_login
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from tests.cluster.handle import Cluster
from tests.support.objects import Body, manifest

SPEC: dict[str, Body] = {
    "CronJob": {
        "schedule": "0 0 * * *",
        "suspend": True,
        "jobTemplate": {
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
        },
    },
    "Job": {
        "suspend": True,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}},
    },
    "Pod": {"schedulerName": "none", "containers": [{"name": "c", "image": "i"}]},
}


def url_of(kind: Kind, namespace: str = "") -> str:
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    return f"{root}/namespaces/{namespace}/{kind.plural}" if namespace else f"{root}/{kind.plural}"


def ask(bed: Cluster, kind: Kind, namespace: str, *, watch: bool = False) -> Any:
    """The list, or the first event of a watch."""

    async def play() -> Any:
        login = read_login(str(bed.kubeconfig))
        url = login.server + url_of(kind, namespace)
        async with (
            watch_session(login, lambda _: None, METADATA_ONLY, lambda page: page.items) as session,
            session.get(url, params={"watch": "true", "timeoutSeconds": "1"} if watch else {}) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return json.loads((await answer.read()).splitlines()[0]) if watch else await answer.json()

    return asyncio.run(play())


@pytest.mark.parametrize("kind", [PIPELINES, CRONJOBS, JOBS, PODS], ids=lambda kind: kind.plural)
def test_watches_bring_whole_pods_and_of_all_else_the_metadata(
    bed: Cluster, api: KubernetesCluster, namespace: str, kind: Kind
) -> None:
    bed.kubectl("-n", namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    assert ask(bed, kind, namespace)["items"] == []  # kopf cannot do with null
    body = manifest("watched", namespace)
    if kind is not PIPELINES:
        metadata = {"name": "watched", "namespace": namespace, "labels": {"a": "b"}, "annotations": {"c": "d"}}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": SPEC[kind.kind]}
    created = api.create(kind, body)["metadata"]
    (listed,) = ask(bed, kind, namespace)["items"]
    event = ask(bed, kind, namespace, watch=True)
    for found in (listed, event["object"]):
        assert found["metadata"]["uid"] == created["uid"]
        assert found["metadata"].get("annotations") == created.get("annotations")
        assert ("spec" in found) is (kind is PODS)
        assert ("status" in found) is (kind is PODS)
    assert event["type"] == "ADDED"
    api.delete(kind, namespace, "watched", propagation="Background")


@pytest.mark.parametrize("whole_cluster", [False, True], ids=["one namespace", "the whole cluster"])
@pytest.mark.parametrize("kind", [PIPELINES, JOBS], ids=lambda kind: kind.plural)
def test_a_list_comes_in_pages_that_say_whose_they_are_and_which_is_the_last(
    bed: Cluster, api: KubernetesCluster, namespace: str, kind: Kind, whole_cluster: bool
) -> None:
    labels = {"listed-in": namespace}
    for name in ("one", "two"):
        body = manifest(name, namespace)
        body["metadata"]["labels"] = labels
        if kind is JOBS:
            body |= {"apiVersion": "batch/v1", "kind": "Job", "spec": SPEC["Job"]}
        api.create(kind, body)
    pages: list[Page] = []

    def no_news(page: Page) -> list[Body]:
        pages.append(page)
        return []

    async def play() -> None:
        login = read_login(str(bed.kubeconfig))
        url = login.server + url_of(kind, "" if whole_cluster else namespace)
        params = {"limit": "1", "labelSelector": f"listed-in={namespace}"}
        async with watch_session(login, lambda _: None, METADATA_ONLY, no_news) as session:
            while True:
                async with session.get(url, params=params) as answer:
                    document = await answer.json()
                assert document["items"] == []
                if not document["metadata"].get("continue"):
                    return
                params["continue"] = document["metadata"]["continue"]

    try:
        asyncio.run(play())
    finally:
        for name in ("one", "two"):
            api.delete(kind, namespace, name, propagation="Background")
    where = "" if whole_cluster else namespace
    assert [(page.plural, page.namespace) for page in pages] == [(kind.plural, where)] * 2
    assert [(page.is_first, page.is_last) for page in pages] == [(True, False), (False, True)]
    assert [[item["metadata"]["name"] for item in page.items] for page in pages] == [["one"], ["two"]]
