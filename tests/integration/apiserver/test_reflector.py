"""Reflectors beside a real API server."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.cache import Cache
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testcluster.handle import Cluster
from testing.objects import Body, job_to_create, manifest
from testing.waiting import until

NAME = "reflected"
Check = Callable[[Cache, KubernetesCluster], Awaitable[None]]


def run_with_cache(cluster: Cluster, api: KubernetesCluster, scopes: list[str], check: Check) -> None:
    """Run a check over a cache of all four kinds that has synced."""

    async def run() -> None:
        session = ApiSession(str(cluster.kubeconfig))
        cache = Cache(session, scopes)
        task = asyncio.create_task(cache.run())
        try:
            await until("a scope has synced", cache.store.synced_scopes, seconds=30)
            await check(cache, api)
            assert cache.problems() == []
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await session.close()

    asyncio.run(asyncio.wait_for(run(), 120))


@pytest.mark.parametrize("is_clusterwide", [True, False])
def test_the_cache_follows_what_happens(
    cluster: Cluster, api: KubernetesCluster, namespace: str, is_clusterwide: bool
) -> None:
    name = f"{NAME}-{str(is_clusterwide).lower()}"
    key = PipelineKey(namespace, name)

    async def check(cache: Cache, api: KubernetesCluster) -> None:
        store = cache.store
        created = await asyncio.to_thread(api.create, PIPELINES, manifest(name, namespace))
        await until("the pipeline is there", lambda: store.pipeline(key))
        record = store.pipeline(key)
        assert record is not None
        assert (record.uid, record.bare_name) == (created["metadata"]["uid"], name)
        assert record.spec_changed_at is not None
        assert record.body()["spec"] == created["spec"]
        assert "managedFields" not in record.body()["metadata"]

        cronjob: Body = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": name, "namespace": namespace, "labels": {constants.LABEL_PIPELINE: name}},
            "spec": {
                "schedule": "0 0 1 1 *",
                "suspend": True,
                "jobTemplate": {
                    "spec": {
                        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
                    }
                },
            },
        }
        await asyncio.to_thread(api.create, CRONJOBS, cronjob)
        wanted = job_to_create(f"{name}-1", namespace, record.uid, pipeline_name=name)
        made = await asyncio.to_thread(api.create, JOBS, wanted)
        store.overlay_write(JOBS, made)
        assert [one.uid for one in store.jobs_of(namespace, name)] == [made["metadata"]["uid"]]
        await until("the CronJob is there", lambda: store.cronjob(namespace, name))
        await until("the pod of the Job is there", lambda: store.pods_owned_by(made["metadata"]["uid"]))
        assert [one.name for one in store.jobs_owned_by(record.uid)] == [f"{name}-1"]

        pods = store.pods_of(namespace, name)
        await asyncio.to_thread(api.delete, JOBS, namespace, f"{name}-1", propagation="Background")
        await until(
            "Job and pods have gone", lambda: not store.jobs_of(namespace, name) + store.pods_of(namespace, name)
        )
        deleted = store.recently_deleted_pods(namespace, name)
        assert {one.uid for one in pods} <= {one.uid for one in deleted}
        for kind in (CRONJOBS, PIPELINES):
            await asyncio.to_thread(api.delete, kind, namespace, name, propagation="Background")
        await until("nothing is left", lambda: not (store.pipeline(key) or store.cronjob(namespace, name)))

    run_with_cache(cluster, api, [""] if is_clusterwide else [namespace], check)


def test_a_list_in_pages_is_whole(
    cluster: Cluster, api: KubernetesCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion_operator.cache.reflector._PAGE_SIZE", 2)
    names = [f"paged-{number}" for number in range(5)]
    for name in names:
        api.create(PIPELINES, manifest(name, namespace))

    async def check(cache: Cache, _api: KubernetesCluster) -> None:
        assert sorted(one.name for one in cache.store.pipelines(namespace) if one.name in names) == names
        assert cache.store.has_synced(namespace)

    try:
        run_with_cache(cluster, api, [namespace], check)
    finally:
        for name in names:
            api.delete(PIPELINES, namespace, name, propagation="Background")


def test_the_api_server_sends_bookmarks(cluster: Cluster, namespace: str) -> None:
    """The silence bound rests on them: one comes each minute, and one before a watch ends."""

    async def run() -> list[bytes]:
        session = ApiSession(str(cluster.kubeconfig))
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": "5"}
        try:
            stream = session.watch(PODS, namespace, query, silence_seconds=30, total_seconds=30)
            return [piece async for piece in stream]
        finally:
            await session.close()

    assert b'"BOOKMARK"' in b"".join(asyncio.run(run()))


def test_a_watch_that_is_left_keeps_no_connection(cluster: Cluster, api: KubernetesCluster, namespace: str) -> None:
    """A TLS connection that is only closed outlives its event loop; the collector warns of it then."""

    async def check(_cache: Cache, _api: KubernetesCluster) -> None:
        await asyncio.sleep(0.1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(8):
            run_with_cache(cluster, api, [namespace], check)
            gc.collect()
    assert [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)] == []
