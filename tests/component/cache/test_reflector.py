"""Reflectors over HTTP: whatever the API server does, the store is right again soon."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube import api_session
from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Timing, lines
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from testing.fake_api_server import FakeApiServer, Fault
from testing.objects import NAMESPACE, Body, job, manifest, pod
from testing.waiting import until

QUICK = Timing(page=5, silence=3, first_pause=0.01, longest_pause=0.05, steady=0.02)
Scene = Callable[[FakeApiServer, Cache], Awaitable[None]]


@asynccontextmanager
async def running(
    server: FakeApiServer,
    folder: Path,
    *,
    scopes: tuple[str, ...] = ("",),
    kinds: tuple[Kind, ...] = (JOBS,),
    timing: Timing = QUICK,
    clock: ServerClock | None = None,
) -> AsyncIterator[Cache]:
    session = ApiSession(server.write_kubeconfig(folder / "kubeconfig", token=server.token or "any"), clock=clock)
    cache = Cache(session, scopes, kinds, timing=timing)
    task = asyncio.create_task(cache.run())
    try:
        yield cache
        assert not task.done()
        assert cache.problems() == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await session.close()


def run_scene(folder: Path, scene: Scene, *, first: int = 0, timing: Timing = QUICK) -> None:
    """Run a scene with a server that has `first` Jobs, over a cache of Jobs that has synced."""

    async def run() -> None:
        server = FakeApiServer()
        for number in range(first):
            server.put(JOBS, job(f"first-{number}"))
        async with server.serving(), running(server, folder, timing=timing) as cache:
            await until("the cache has synced", lambda: cache.store.has_synced("any") and server.watches())
            await scene(server, cache)

    asyncio.run(asyncio.wait_for(run(), 60))


def names(cache: Cache) -> set[str]:
    return {one.name for one in cache.store.jobs_of(NAMESPACE, "nightly")}


def expected(server: FakeApiServer) -> set[str]:
    return {body["metadata"]["name"] for body in server.objects(JOBS)}


async def is_right(server: FakeApiServer, cache: Cache, *, seconds: float = 10) -> None:
    await until("the store is as the API server", lambda: names(cache) == expected(server), seconds=seconds)


async def is_alive(server: FakeApiServer, cache: Cache) -> None:
    """The store becomes right, and follows what comes after."""
    await is_right(server, cache)
    await until("a watch is open", server.watches)
    server.put(JOBS, job("afterwards"))
    await is_right(server, cache)
    await until("the error is over", lambda: not cache.reflectors[0].last_error)


def lists(server: FakeApiServer) -> int:
    return [verb for verb, _, _ in server.requests].count("list")


def test_objects_are_listed_and_then_followed(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        assert names(cache) == {"first-0"}
        server.put(JOBS, job("added"))
        server.put(JOBS, job("first-0", suspended=True))
        await is_right(server, cache)
        await until("the change is seen", lambda: getattr(cache.store.job(NAMESPACE, "first-0"), "is_suspended", None))
        server.delete(JOBS, NAMESPACE, "first-0")
        await is_right(server, cache)
        assert lists(server) == 1

    run_scene(tmp_path, scene, first=1)


def test_a_long_list_comes_in_pages(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        assert len(names(cache)) == 1200
        assert [verb for verb, _, _ in server.requests] == ["list", "continue", "continue", "watch"]
        assert {query.get("limit") for query in server.queries} == {"500", None}
        assert server.queries[-1]["allowWatchBookmarks"] == "true"
        assert 240 <= int(server.queries[-1]["timeoutSeconds"]) <= 360

    run_scene(tmp_path, scene, first=1200)


def test_a_watch_that_ends_in_order_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.put(JOBS, job("last"))
        await is_right(server, cache)
        server.end_watches()
        server.put(JOBS, job("between"))  # behind the end, so that only the next watch can show it
        await is_alive(server, cache)
        assert [verb for verb, _, _ in server.requests] == ["list", "watch", "watch"]

    run_scene(tmp_path, scene)


def test_a_bookmark_moves_a_quiet_watch_on(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, _cache: Cache) -> None:
        server.version += 50
        server.bookmark()
        server.end_watches()
        await until("the watch is asked for again", lambda: len(server.requests) == 3)
        assert server.queries[-1]["resourceVersion"] == "150"
        assert lists(server) == 1

    run_scene(tmp_path, scene)


FAULTS_OF_A_WATCH: dict[str, Callable[[FakeApiServer], None]] = {
    "ERROR 410": lambda server: server.send_error(410, "too old resource version"),
    "ERROR 500": lambda server: server.send_error(500, "etcdserver: leader changed"),
    "ERROR 504": lambda server: server.send_error(504, "etcdserver: leader changed"),
    "ERROR without a code": lambda server: server.send(b'{"type": "ERROR", "object": {}}\n'),
    "ERROR without an object": lambda server: server.send(b'{"type": "ERROR", "object": null}\n'),
    "cut": lambda server: server.cut_watches(),
    "cut within a line": lambda server: server.cut_watches(after=b'{"type": "ADDED", "obj'),
    "not JSON": lambda server: server.send(b"upstream connect error\n"),
    "JSON of another kind": lambda server: server.send(b"[]\n"),
    "an event without an object": lambda server: server.send(b'{"type": "ADDED"}\n'),
}


@pytest.mark.parametrize("fault", FAULTS_OF_A_WATCH)
def test_a_broken_watch_lists_again_and_shows_deletions(tmp_path: Path, fault: str) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        deleted: list[str] = []
        cache.store.on_change(lambda _kind, _scope, old, new: deleted.append(old.name) if new is None and old else None)
        server.mute_watches()
        server.delete(JOBS, NAMESPACE, "first-0")
        server.put(JOBS, job("meanwhile"))
        FAULTS_OF_A_WATCH[fault](server)
        await is_alive(server, cache)
        assert deleted == ["first-0"]
        assert lists(server) == 2

    run_scene(tmp_path, scene, first=2)


def test_a_silent_connection_lists_again(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.mute_watches()
        server.put(JOBS, job("not-sent"))
        await is_right(server, cache)
        assert lists(server) == 2

    run_scene(tmp_path, scene, timing=replace(QUICK, silence=0.3))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 503])
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_refused_request_is_repeated_without_end(tmp_path: Path, status: int, verb: str) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        fault = Fault(status, verb=verb)
        server.faults.append(fault)
        before = len(server.requests)
        server.cut_watches()
        await until("it has failed often", lambda: len(server.requests) > before + 24)
        server.put(JOBS, job("meanwhile"))
        if verb != "watch":
            assert cache.reflectors[0].failures > 8  # more than the framework's own watches stand
        assert cache.store.has_synced("any")
        assert cache.problems() == []
        server.faults.clear()
        await is_alive(server, cache)

    run_scene(tmp_path, scene, first=1)


@pytest.mark.parametrize("body", [b"<html>upstream connect error</html>", b"[]", b'{"items": []}', b"\xff\xfe", b""])
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_proxys_answer_is_not_taken_for_a_list(tmp_path: Path, body: bytes, verb: str) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.faults.append(Fault(200, verb=verb, body=body, times=3))
        server.cut_watches()
        await until("all of them were sent", lambda: server.faults[0].times == 0)
        assert names(cache) == {"first-0"}
        await is_alive(server, cache)

    run_scene(tmp_path, scene, first=1)


def test_a_list_that_expires_between_pages_starts_again(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.faults.append(Fault(410, verb="continue", times=1))
        server.delete(JOBS, NAMESPACE, "first-0")
        server.cut_watches()
        await until("the list has started again", lambda: lists(server) == 3)
        await is_alive(server, cache)

    run_scene(tmp_path, scene, first=700)


def test_a_failed_list_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.faults.append(Fault(503, verb="continue"))
        server.cut_watches()
        await until("it has failed often", lambda: lists(server) > 5)
        assert len(names(cache)) == 700
        assert cache.store.has_synced("any")
        assert cache.unreadable() == {"": cache.reflectors[0].last_error}
        assert "HTTP 503" in cache.reflectors[0].last_error

    run_scene(tmp_path, scene, first=700)


def test_a_server_that_is_away_is_awaited(tmp_path: Path) -> None:
    async def run() -> None:
        server = FakeApiServer()
        server.url = "http://127.0.0.1:1"
        session = ApiSession(server.write_kubeconfig(tmp_path / "kubeconfig"))
        cache = Cache(session, [""], [JOBS], timing=QUICK)
        task = asyncio.create_task(cache.run())
        await until("it has failed often", lambda: cache.reflectors[0].failures > 9)
        assert "cannot be reached" in cache.unreadable()[""]
        assert not cache.store.has_synced("any")
        async with server.serving():
            server.write_kubeconfig(tmp_path / "kubeconfig")
            session._login_read_at -= 301
            await until("the cache has synced", lambda: cache.store.has_synced("any"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await session.close()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("status", [403, 404])
def test_a_scope_that_cannot_be_read_holds_up_no_other(tmp_path: Path, status: int) -> None:
    async def run() -> None:
        server = FakeApiServer()
        server.faults.append(Fault(status, namespace="gone"))
        async with (
            server.serving(),
            running(server, tmp_path, scopes=("gone", NAMESPACE), kinds=(PIPELINES, JOBS)) as cache,
        ):
            await until("the other has synced", lambda: cache.store.synced_scopes() == [NAMESPACE])
            await until("the scope is known as unreadable", cache.unreadable)
            assert list(cache.unreadable()) == ["gone"]
            assert f"HTTP {status}" in cache.unreadable()["gone"]
            server.put(JOBS, job())
            await is_right(server, cache)
            server.faults.clear()
            await until("it has synced", lambda: cache.store.has_synced("gone") and not cache.unreadable())

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_new_token_is_read_when_the_old_one_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        server = FakeApiServer()
        server.token = "first"
        async with server.serving(), running(server, tmp_path) as cache:
            await until("a watch is open", server.watches)
            server.token = "second"
            server.cut_watches()
            await until("the old one is refused", lambda: "HTTP 401" in cache.reflectors[0].last_error)
            server.write_kubeconfig(tmp_path / "kubeconfig", token="second")
            await is_alive(server, cache)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_token_is_read_again_before_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_session, "_LOGIN_SECONDS", 0.0)

    async def run() -> None:
        server = FakeApiServer()
        server.token = "first"
        async with server.serving(), running(server, tmp_path) as cache:
            await until("a watch is open", server.watches)
            server.token = "second"
            server.write_kubeconfig(tmp_path / "kubeconfig", token="second")
            server.end_watches()
            await is_alive(server, cache)
            assert lists(server) == 1

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_api_servers_time_is_learnt(tmp_path: Path) -> None:
    async def run() -> None:
        learnt: list[str | None] = []

        class Clock(ServerClock):
            def learn(self, date: str | None, asked: datetime) -> None:
                learnt.append(date)
                super().learn(date, asked)

        server = FakeApiServer()
        async with server.serving(), running(server, tmp_path, clock=Clock(SystemClock())):
            await until("list and watch are answered", lambda: len(learnt) == 2)
        assert all(date and date.endswith("GMT") for date in learnt)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_lines_may_be_long(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        long = job("long")
        long["metadata"]["annotations"]["other"] = "x" * 250_000
        for number in range(5):
            server.put(JOBS, long | {"metadata": long["metadata"] | {"name": f"long-{number}"}})
        await is_right(server, cache)
        assert lists(server) == 1

    run_scene(tmp_path, scene)


def test_slow_bytes_are_awaited_as_long_as_they_come(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.byte_pause = 0.02
        server.delete(JOBS, NAMESPACE, "first-0")
        server.cut_watches()
        await until("a watch is open", lambda: lists(server) == 2 and server.watches())
        assert names(cache) == expected(server)
        for piece in (b'{"type"', b': "BOOKMARK", "object": {"metadata": {"resource', b'Version": "900"}}}\n'):
            server.send(piece)
            await asyncio.sleep(0.2)
        server.end_watches()
        await until("the watch goes on", lambda: server.queries[-1].get("resourceVersion") == "900")
        assert lists(server) == 2

    run_scene(tmp_path, scene, first=5, timing=replace(QUICK, silence=0.4))


def test_a_list_without_end_is_given_a_bound(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.byte_pause = 0.05
        server.cut_watches()
        await until("it was cut", lambda: "cannot be reached" in cache.reflectors[0].last_error)
        server.byte_pause = 0
        await is_alive(server, cache)

    run_scene(tmp_path, scene, first=20, timing=replace(QUICK, page=0.5))


def test_watches_that_end_at_once_are_not_asked_in_a_busy_loop(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, _cache: Cache) -> None:
        server.faults.append(Fault(200, verb="watch", body=b""))
        server.end_watches()
        await until("some have ended", lambda: len(server.requests) > 10)
        moments = [moment for _, _, moment in server.requests[-4:]]
        assert moments[-1] - moments[0] > 3 * 0.5 * 0.2

    run_scene(tmp_path, scene, timing=Timing(first_pause=0.2, longest_pause=0.2))


def test_pauses_grow_and_follow_retry_after(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, _cache: Cache) -> None:
        server.faults.append(Fault(429, verb="list", headers={"Retry-After": "1"}))
        server.cut_watches()
        await until("it was refused twice", lambda: lists(server) >= 3)
        moments = [moment for verb, _, moment in server.requests if verb == "list"]
        assert moments[-1] - moments[-2] > 0.1

    run_scene(tmp_path, scene, timing=Timing(first_pause=0.01, longest_pause=0.1))


def test_children_are_selected_by_label_and_pipelines_are_not(tmp_path: Path) -> None:
    async def run() -> None:
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

    asyncio.run(asyncio.wait_for(run(), 60))


def test_an_object_that_cannot_be_read_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        bad = job("bad")
        bad["spec"]["backoffLimit"] = "many"
        server.put(JOBS, bad)
        server.put(JOBS, job("good"))
        await until("the next is read", lambda: "good" in names(cache))
        server.cut_watches()
        await until("the list is read", lambda: lists(server) == 2 and server.watches())
        assert names(cache) == {"good"}

    with caplog.at_level(logging.ERROR):
        run_scene(tmp_path, scene)
    assert [record.getMessage().startswith("Job data/bad is ignored") for record in caplog.records] == [True]


def test_failures_are_logged_once_and_so_is_their_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
        server.faults.append(Fault(403))
        server.cut_watches()
        await until("it has failed often", lambda: lists(server) > 5)
        server.faults.clear()
        await is_alive(server, cache)

    with caplog.at_level(logging.INFO, logger="ingestion_operator.cache.reflector"):
        run_scene(tmp_path, scene)
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "HTTP 403" in text]) == 1
    assert "are watched again after" in texts[-1]


def test_the_event_loop_gets_turns_while_a_long_list_is_read(tmp_path: Path) -> None:
    async def scene(server: FakeApiServer, cache: Cache) -> None:
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

    run_scene(tmp_path, scene, first=2000)


def test_a_reflector_that_has_ended_is_a_problem(tmp_path: Path) -> None:
    async def run() -> None:
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

    asyncio.run(asyncio.wait_for(run(), 60))


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


def test_lines_are_found_wherever_pieces_end() -> None:
    async def pieces(*texts: bytes) -> AsyncIterator[bytes]:
        for text in texts:
            yield text

    async def read(*texts: bytes) -> list[bytes]:
        return [line async for line in lines(pieces(*texts))]

    async def scene() -> None:
        assert await read(b"", b"a", b"b\n\nc\n", b"", b"d", b"\n") == [b"ab", b"c", b"d"]
        assert await read(b" \n") == await read() == []
        with pytest.raises(Unavailable, match="within a line"):
            await read(b"a\nb")

    asyncio.run(scene())
