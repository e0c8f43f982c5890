"""A replica that leads again enqueues every pipeline, however fast the cache has listed everything again."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from ingestion_operator.cache.reflector import DEFAULT_TIMING
from ingestion_operator.controller.app import Operator
from ingestion_operator.ports import PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_api_server import FakeApiServer
from testing.objects import NAMESPACE, manifest
from testing.waiting import until

KEY = PipelineKey(NAMESPACE, "nightly")
SETTINGS = {"runnerImages": {"2.0": {"image": "runner:2.0", "version": "2.0.6.0"}}, "defaultServerVersion": "2.0"}


async def lead_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
    server, enqueued = FakeApiServer(), list[PipelineKey]()
    server.put(PIPELINES, manifest(KEY.name))
    async with server.serving():
        operator = Operator(folder / "settings.yaml", [NAMESPACE], server.write_kubeconfig(folder / "kubeconfig"))
        monkeypatch.setattr(operator._queue, "add", lambda key, **_: enqueued.append(key))
        for reflector in operator._cache.reflectors:  # as if its watch had lasted: without a pause before the list
            monkeypatch.setattr(reflector, "_timing", replace(DEFAULT_TIMING, steady=0.0))
        kopf_thread = cast("Any", SimpleNamespace(has_started=True))
        tasks = [asyncio.create_task(work) for work in (operator._cache.run(), operator._enqueue_synced(kopf_thread))]
        try:
            await until("the pipeline to be enqueued", lambda: KEY in enqueued)
            for _ in range(10):
                await asyncio.sleep(0.15)  # longer than the pause between two checks, so that nothing more is to come
                enqueued.clear()
                operator._leads(True)
                await until("the pipeline to be enqueued again", lambda: KEY in enqueued, seconds=5)
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await operator._session.close()


def test_a_replica_that_leads_again_enqueues_every_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(asyncio.wait_for(lead_again(tmp_path, monkeypatch), 60))
