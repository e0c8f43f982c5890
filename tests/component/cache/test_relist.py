"""A replica that begins to lead lists everything again: a watch may have been cut without a sign."""

import asyncio
from pathlib import Path

import pytest

from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.cache import Cache
from ingestion_operator.ports import JOBS, PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_api_server import FakeApiServer
from testing.objects import NAMESPACE, job, manifest
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]


async def test_a_relist_finds_what_a_silent_watch_did_not_bring(tmp_path: Path) -> None:
    server = FakeApiServer()
    async with server.serving():
        session = ApiSession(server.write_kubeconfig(tmp_path / "kubeconfig"))
        cache = Cache(session, [NAMESPACE])
        running = asyncio.create_task(cache.run())
        await until("the first list", lambda: cache.store.has_synced(NAMESPACE) and server.watches() == 4)
        server.mute_watches()
        server.put(PIPELINES, manifest("unseen"))
        cache.relist()
        assert not cache.store.has_synced(NAMESPACE)
        await until("the second list", lambda: cache.store.has_synced(NAMESPACE))
        assert cache.store.pipeline(PipelineKey(NAMESPACE, "unseen")) is not None
        assert cache.problems() == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert all(task() for _, task in cache._tasks)
        await session.close()


async def test_a_relist_while_a_list_is_passed_on_lists_again(tmp_path: Path) -> None:
    """A replica often begins to lead while its first list is read: the scope must become synced all the same."""
    server = FakeApiServer()
    for number in range(1500):
        server.put(JOBS, job(f"first-{number}"))
    async with server.serving():
        session = ApiSession(server.write_kubeconfig(tmp_path / "kubeconfig"))
        cache = Cache(session, [NAMESPACE], (JOBS,))
        changes: list[object] = []

        def lead(*change: object) -> None:
            if not changes:
                asyncio.get_running_loop().call_soon(cache.relist)
            changes.append(change)

        cache.store.on_change(lead)
        running = asyncio.create_task(cache.run())
        await until("the watch", lambda: server.watches() == 1)
        assert cache.store.has_synced(NAMESPACE)
        assert (server.asked("list"), len(changes)) == (2, 1500)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await session.close()
