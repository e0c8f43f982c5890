"""What the watches ask a real API server for, and get."""

import asyncio
import json
from typing import Any

import pytest

from ingestion_operator.controllers.handlers import METADATA_ONLY
from ingestion_operator.kube.client import KubernetesCluster
from ingestion_operator.kube.login import read_login
from ingestion_operator.kube.watching import watch_session
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


def ask(bed: Cluster, kind: Kind, namespace: str, *, watch: bool = False) -> Any:
    """The list, or the first event of a watch."""

    async def play() -> Any:
        login = read_login(str(bed.kubeconfig))
        root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
        url = f"{login.server}{root}/namespaces/{namespace}/{kind.plural}"
        async with (
            watch_session(login, lambda _: None, METADATA_ONLY, lambda *_: True) as session,
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
