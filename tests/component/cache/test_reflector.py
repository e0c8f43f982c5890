"""Reflectors over HTTP: whatever the API server does, the store is right again soon."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import lines
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS
from testing.cache_harness import QUICK, is_alive, is_right, lists, names, running, synced
from testing.fake_api_server import FakeApiServer, Fault
from testing.objects import NAMESPACE, Body, job, manifest, pod
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_objects_are_listed_and_then_followed(tmp_path: Path) -> None:
    async with synced(tmp_path, first=1) as (server, cache):
        assert names(cache) == {"first-0"}
        server.put(JOBS, job("added"))
        server.put(JOBS, job("first-0", suspended=True))
        await is_right(server, cache)
        await until("the change is seen", lambda: getattr(cache.store.job(NAMESPACE, "first-0"), "is_suspended", None))
        server.delete(JOBS, NAMESPACE, "first-0")
        await is_right(server, cache)
        assert lists(server) == 1


async def test_a_long_list_comes_in_pages(tmp_path: Path) -> None:
    async with synced(tmp_path, first=1200) as (server, cache):
        assert len(names(cache)) == 1200
        assert [verb for verb, _, _ in server.requests] == ["list", "continue", "continue", "watch"]
        assert {query.get("limit") for query in server.queries} == {"500", None}
        assert server.queries[-1]["allowWatchBookmarks"] == "true"
        assert 240 <= int(server.queries[-1]["timeoutSeconds"]) <= 360


async def test_a_watch_that_ends_in_order_goes_on_where_it_was(tmp_path: Path) -> None:
    async with synced(tmp_path) as (server, cache):
        server.put(JOBS, job("last"))
        await is_right(server, cache)
        server.end_watches()
        server.put(JOBS, job("between"))  # behind the end, so that only the next watch can show it
        await is_alive(server, cache)
        assert [verb for verb, _, _ in server.requests] == ["list", "watch", "watch"]


async def test_a_bookmark_moves_a_quiet_watch_on(tmp_path: Path) -> None:
    async with synced(tmp_path) as (server, _cache):
        server.version += 50
        server.bookmark()
        server.end_watches()
        await until("the watch is asked for again", lambda: len(server.requests) == 3)
        assert server.queries[-1]["resourceVersion"] == "150"
        assert lists(server) == 1


async def test_the_api_servers_time_is_learnt(tmp_path: Path) -> None:
    learnt: list[str | None] = []

    class Clock(ServerClock):
        def learn(self, date: str | None, asked: datetime) -> None:
            learnt.append(date)
            super().learn(date, asked)

    server = FakeApiServer()
    async with server.serving(), running(server, tmp_path, clock=Clock(SystemClock())):
        await until("list and watch are answered", lambda: len(learnt) == 2)
    assert all(date and date.endswith("GMT") for date in learnt)


async def test_lines_may_be_long(tmp_path: Path) -> None:
    async with synced(tmp_path) as (server, cache):
        long = job("long")
        long["metadata"]["annotations"]["other"] = "x" * 250_000
        for number in range(5):
            server.put(JOBS, long | {"metadata": long["metadata"] | {"name": f"long-{number}"}})
        await is_right(server, cache)
        assert lists(server) == 1


async def test_children_are_selected_by_label_and_pipelines_are_not(tmp_path: Path) -> None:
    server = FakeApiServer()
    server.put(PIPELINES, manifest())
    server.put(PODS, pod())
    foreign = job("foreign")
    del foreign["metadata"]["labels"]
    server.put(JOBS, foreign)
    cronjob: Body = {"metadata": {"name": "nightly", "namespace": NAMESPACE}, "spec": {"schedule": "0 2 * * *"}}
    cronjob["metadata"]["labels"] = {constants.LABEL_PIPELINE: "nightly"}
    server.put(CRONJOBS, cronjob)
    async with server.serving(), running(server, tmp_path, kinds=(PIPELINES, CRONJOBS, JOBS, PODS)) as cache:
        await until("all kinds have synced", lambda: cache.store.has_synced("any"))
        store = cache.store
        assert [one.body()["kind"] for one in store.pipelines()] == ["IngestionPipeline"]
        assert store.cronjob(NAMESPACE, "nightly") is not None
        assert len(store.pods_of(NAMESPACE, "nightly")) == 1
        assert store.job(NAMESPACE, "foreign") is None
        ages = cache.ages()
        assert set(ages) == {(kind, "") for kind in (PIPELINES, CRONJOBS, JOBS, PODS)}
        assert max(ages.values()) < 30


async def test_an_object_that_cannot_be_read_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        async with synced(tmp_path) as (server, cache):
            bad = job("bad")
            bad["spec"]["backoffLimit"] = "many"
            server.put(JOBS, bad)
            server.put(JOBS, job("good"))
            await until("the next is read", lambda: "good" in names(cache))
            server.cut_watches()
            await until("the list is read", lambda: lists(server) == 2 and server.watches())
            assert names(cache) == {"good"}
    assert [record.getMessage().startswith("Job data/bad is ignored") for record in caplog.records] == [True]


async def test_failures_are_logged_once_and_so_is_their_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ingestion_operator.cache.reflector"):
        async with synced(tmp_path) as (server, cache):
            server.faults.append(Fault(403))
            server.cut_watches()
            await until("it has failed often", lambda: lists(server) > 5)
            server.faults.clear()
            await is_alive(server, cache)
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "HTTP 403" in text]) == 1
    assert "are watched again after" in texts[-1]


async def test_the_event_loop_gets_turns_while_a_long_list_is_read(tmp_path: Path) -> None:
    async with synced(tmp_path, first=2000) as (server, cache):
        turns: list[int] = []
        between = 0

        def count(*_: object) -> None:
            turns.append(between)

        server.mute_watches()
        for number in range(2000):
            server.put(JOBS, job(f"first-{number}", suspended=True))
        cache.store.on_change(count)
        server.cut_watches()
        while len(turns) < 2000:
            await asyncio.sleep(0)
            between += 1
        assert max(map(turns.count, turns)) <= 100


async def test_a_reflector_that_has_ended_is_a_problem(tmp_path: Path) -> None:
    cache = Cache(ApiSession(str(tmp_path / "none")), [""], [JOBS, PODS], timing=QUICK)
    task = asyncio.create_task(cache.run())
    await until("both are at work", lambda: min(one.failures for one in cache.reflectors) > 1)
    assert cache.problems() == []
    next(one for one in asyncio.all_tasks() if one.get_name().startswith("cache: jobs")).cancel()
    await until("one has ended", cache.problems)
    assert cache.problems() == ["the reflector of jobs in all namespaces has ended"]
    cache.reflectors[1]._attempted_at -= 601
    assert any("pods in all namespaces has made no attempt for 60" in text for text in cache.problems())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_cache_in_a_thread_of_its_own_is_read_by_others(tmp_path: Path) -> None:
    ready, stop = threading.Event(), threading.Event()
    found: list[Cache] = []

    async def run() -> None:
        server = FakeApiServer()
        server.put(PIPELINES, manifest())
        server.put(JOBS, job())
        async with server.serving(), running(server, tmp_path, scopes=(NAMESPACE,), kinds=(PIPELINES, JOBS)) as cache:
            await until("the cache has synced", lambda: cache.store.has_synced(NAMESPACE))
            found.append(cache)
            ready.set()
            await asyncio.to_thread(stop.wait, 30)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(30)
        assert names(found[0]) == {"nightly-1"}
        assert [one.name for one in found[0].store.pipelines_called(NAMESPACE, "nightly")] == ["nightly"]
        assert found[0].problems() == []
    finally:
        stop.set()
        thread.join()


async def test_lines_are_found_wherever_pieces_end() -> None:
    async def pieces(*texts: bytes) -> AsyncIterator[bytes]:
        for text in texts:
            yield text

    async def read(*texts: bytes) -> list[bytes]:
        return [line async for line in lines(pieces(*texts))]

    assert await read(b"", b"a", b"b\n\nc\n", b"", b"d", b"\n") == [b"ab", b"c", b"d"]
    assert await read(b" \n") == await read() == []
    with pytest.raises(Unavailable, match="within a line"):
        await read(b"a\nb")
