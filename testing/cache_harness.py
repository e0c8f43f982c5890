"""A cache beside an API server in memory, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ingestion_operator.adapters.kube.api_session import ApiSession
from ingestion_operator.adapters.kube.server_clock import ServerClock
from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Timing
from ingestion_operator.ports import JOBS, Kind
from testing.fake_api_server import FakeApiServer
from testing.objects import NAMESPACE, job
from testing.waiting import until

QUICK = Timing(page=5, silence=3, first_pause=0.01, longest_pause=0.05, steady=0.02)


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


@asynccontextmanager
async def synced(folder: Path, *, first: int = 0, timing: Timing = QUICK) -> AsyncIterator[tuple[FakeApiServer, Cache]]:
    """A server that has `first` Jobs, and a cache of Jobs that has synced."""
    server = FakeApiServer()
    for number in range(first):
        server.put(JOBS, job(f"first-{number}"))
    async with server.serving(), running(server, folder, timing=timing) as cache:
        await until("the cache has synced", lambda: cache.store.has_synced("any") and server.watches())
        yield server, cache


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
