"""Reflectors over HTTP: faults of the API server, after which the store becomes right again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingestion_operator.adapters.kube import api_session
from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Timing
from ingestion_operator.ports import JOBS, PIPELINES
from testing.cache_harness import QUICK, expected, is_alive, is_right, lists, names, running, synced
from testing.fake_api_server import FakeApiServer, Fault
from testing.objects import NAMESPACE, job
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


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
async def test_a_broken_watch_lists_again_and_shows_deletions(tmp_path: Path, fault: str) -> None:
    async with synced(tmp_path, first=2) as (server, cache):
        deleted: list[str] = []
        cache.store.on_change(lambda _kind, _scope, old, new: deleted.append(old.name) if new is None and old else None)
        server.mute_watches()
        server.delete(JOBS, NAMESPACE, "first-0")
        server.put(JOBS, job("meanwhile"))
        FAULTS_OF_A_WATCH[fault](server)
        await is_alive(server, cache)
        assert deleted == ["first-0"]
        assert lists(server) == 2


async def test_a_silent_connection_lists_again(tmp_path: Path) -> None:
    async with synced(tmp_path, timing=replace(QUICK, silence=0.3)) as (server, cache):
        server.mute_watches()
        server.put(JOBS, job("not-sent"))
        await is_right(server, cache)
        assert lists(server) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 410, 503])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_refused_request_is_repeated_without_end(tmp_path: Path, status: int, verb: str) -> None:
    async with synced(tmp_path, first=1) as (server, cache):
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


@pytest.mark.parametrize("body", [b"<html>upstream connect error</html>", b"[]", b'{"items": []}', b"\xff\xfe", b""])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_proxys_answer_is_not_taken_for_a_list(tmp_path: Path, body: bytes, verb: str) -> None:
    async with synced(tmp_path, first=1) as (server, cache):
        server.faults.append(Fault(200, verb=verb, body=body, times=3))
        server.cut_watches()
        await until("all of them were sent", lambda: server.faults[0].times == 0)
        assert names(cache) == {"first-0"}
        await is_alive(server, cache)


async def test_a_list_that_expires_between_pages_starts_again(tmp_path: Path) -> None:
    async with synced(tmp_path, first=700) as (server, cache):
        server.faults.append(Fault(410, verb="continue", times=1))
        server.delete(JOBS, NAMESPACE, "first-0")
        server.cut_watches()
        await until("the list has started again", lambda: lists(server) == 3)
        await is_alive(server, cache)


async def test_a_failed_list_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    async with synced(tmp_path, first=700) as (server, cache):
        server.faults.append(Fault(503, verb="continue"))
        server.cut_watches()
        await until("it has failed often", lambda: lists(server) > 5)
        assert len(names(cache)) == 700
        assert cache.store.has_synced("any")
        assert cache.unreadable() == {"": cache.reflectors[0].last_error}
        assert "HTTP 503" in cache.reflectors[0].last_error


async def test_a_server_that_is_away_is_awaited(tmp_path: Path) -> None:
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
        session._credentials_read_at -= 301
        await until("the cache has synced", lambda: cache.store.has_synced("any"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await session.close()


@pytest.mark.parametrize("status", [403, 404])
async def test_a_scope_that_cannot_be_read_holds_up_no_other(tmp_path: Path, status: int) -> None:
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


async def test_a_new_token_is_read_when_the_old_one_is_refused(tmp_path: Path) -> None:
    server = FakeApiServer()
    server.token = "first"
    async with server.serving(), running(server, tmp_path) as cache:
        await until("a watch is open", server.watches)
        server.token = "second"
        server.cut_watches()
        await until("the old one is refused", lambda: "HTTP 401" in cache.reflectors[0].last_error)
        server.write_kubeconfig(tmp_path / "kubeconfig", token="second")
        await is_alive(server, cache)


async def test_a_token_is_read_again_before_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_session, "_CREDENTIALS_SECONDS", 0.0)
    server = FakeApiServer()
    server.token = "first"
    async with server.serving(), running(server, tmp_path) as cache:
        await until("a watch is open", server.watches)
        server.token = "second"
        server.write_kubeconfig(tmp_path / "kubeconfig", token="second")
        server.end_watches()
        await is_alive(server, cache)
        assert lists(server) == 1


async def test_slow_bytes_are_awaited_as_long_as_they_come(tmp_path: Path) -> None:
    async with synced(tmp_path, first=5, timing=replace(QUICK, silence=0.4)) as (server, cache):
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


async def test_a_list_without_end_is_given_a_bound(tmp_path: Path) -> None:
    async with synced(tmp_path, first=20, timing=replace(QUICK, page=0.5)) as (server, cache):
        server.byte_pause = 0.05
        server.cut_watches()
        await until("it was cut", lambda: "cannot be reached" in cache.reflectors[0].last_error)
        server.byte_pause = 0
        await is_alive(server, cache)


async def test_watches_that_end_at_once_are_not_asked_in_a_busy_loop(tmp_path: Path) -> None:
    async with synced(tmp_path, timing=Timing(first_pause=0.2, longest_pause=0.2)) as (server, _cache):
        server.faults.append(Fault(200, verb="watch", body=b""))
        server.end_watches()
        await until("some have ended", lambda: len(server.requests) > 10)
        moments = [moment for _, _, moment in server.requests[-4:]]
        assert moments[-1] - moments[0] > 3 * 0.5 * 0.2


async def test_pauses_grow_and_follow_retry_after(tmp_path: Path) -> None:
    async with synced(tmp_path, timing=Timing(first_pause=0.01, longest_pause=0.1)) as (server, _cache):
        server.faults.append(Fault(429, verb="list", headers={"Retry-After": "1"}))
        server.cut_watches()
        await until("it was refused twice", lambda: lists(server) >= 3)
        moments = [moment for verb, _, moment in server.requests if verb == "list"]
        assert moments[-1] - moments[-2] > 0.1
