"""The cache beside a gateway that serves: filled, watched and ended with it; its faults are not the gateway's."""

import asyncio
import http.client
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingestion_operator.cache import Cache
from ingestion_operator.cache.reflector import Reflector
from ingestion_operator.errors import Unavailable
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from ingestion_operator.ports import JOBS, PIPELINES, Kind
from testing.gateway import Running, run_gateway
from testing.objects import NAMESPACE, job, manifest
from testing.waiting import wait_for
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService


class Api:
    """Implements ApiReads: one pipeline and one Job, and watches in which nothing happens."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.open_watches = 0

    async def page(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, total_seconds: float
    ) -> dict[str, Any]:
        assert (namespace, query["limit"], total_seconds > 0) == (NAMESPACE, "500", True)
        if self.error is not None:
            raise self.error
        pipeline = manifest()
        pipeline["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-03-01T12:00:00Z"}
        items = {PIPELINES: [pipeline], JOBS: [job()]}
        return {"metadata": {"resourceVersion": "7"}, "items": items.get(kind, [])}

    async def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], *, silence_seconds: float, total_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        assert (namespace, query["resourceVersion"], silence_seconds < total_seconds) == (NAMESPACE, "7", True), kind
        self.open_watches += 1
        try:
            yield b""
            await asyncio.Event().wait()
        finally:
            self.open_watches -= 1


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def cache(api: Api) -> Cache:
    return Cache(api, [NAMESPACE])


@pytest.fixture
def running(
    cache: Cache, service: RecordingService, settings: SettingsInForce, credentials_folder: Path
) -> Iterator[Running]:
    with run_gateway(Gateway(service, settings.current, Credentials(credentials_folder), cache=cache)) as served:
        yield served


def probe(running: Running, path: str = "/livez") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", running.management_port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@contextmanager
def ended(reflector: Reflector, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let one reflector end at once and the others do nothing."""

    async def run(one: Reflector) -> None:
        if one is not reflector:
            await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Reflector, "run", run)
        yield


def test_it_is_filled_and_watched_while_the_gateway_serves(api: Api, cache: Cache, running: Running) -> None:
    wait_for("the cache", lambda: cache.store.has_synced(NAMESPACE), timeout=5)
    assert [one.name for one in cache.store.pipelines()] == ["nightly"]
    assert cache.store.job(NAMESPACE, "nightly-1") is not None
    wait_for("the watches", lambda: api.open_watches == len(cache.reflectors), timeout=5)
    running.begin_end()
    running.thread.join(10)
    assert not running.thread.is_alive()
    assert api.open_watches == 0


def test_it_serves_before_anything_could_be_listed(
    api: Api, cache: Cache, service: RecordingService, settings: SettingsInForce, credentials_folder: Path
) -> None:
    api.error = Unavailable("away", code=503)
    gateway = Gateway(service, settings.current, Credentials(credentials_folder), cache=cache)
    with run_gateway(gateway) as running:
        wait_for("two failures", cache.unreadable, timeout=10)
        assert probe(running) == probe(running, "/readyz") == (200, "ok")
        assert not cache.store.has_synced(NAMESPACE)
        api.error = None
        wait_for("the cache", lambda: cache.store.has_synced(NAMESPACE), timeout=20)


def test_a_reflector_that_has_ended_fails_the_probe(
    cache: Cache,
    service: RecordingService,
    settings: SettingsInForce,
    credentials_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = Gateway(service, settings.current, Credentials(credentials_folder), cache=cache)
    with ended(cache.reflectors[0], monkeypatch), run_gateway(gateway) as running:
        wait_for("the end", lambda: probe(running)[0] == 503, timeout=5)
        assert probe(running) == (503, "the reflector of ingestionpipelines in namespace data has ended")


def test_its_age_is_a_metric(cache: Cache, running: Running) -> None:
    wait_for("the cache", lambda: cache.store.has_synced(NAMESPACE), timeout=5)
    _, text = probe(running, "/metrics")
    for kind in cache.store.kinds:
        assert f'ingestion_gateway_watch_age_seconds{{resource="{kind.plural}"}}' in text
