"""kopf in its thread: no fault of a list or watch ends it, and it enqueues again once the fault is over."""

import asyncio
from pathlib import Path

import pytest

from ingestion_operator.adapters.kube import kopf_session
from ingestion_operator.controller.kopf_thread import EndlessBackoffs, KopfThread
from ingestion_operator.ports import PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.workqueue import WorkQueue
from testing.fake_api_server import FakeApiServer, Fault
from testing.fake_clock import FakeClock
from testing.objects import NAMESPACE, manifest
from testing.waiting import until

FAULTY_SECONDS = 2.0
"""Longer than several tries, each of which kopf alone would count."""


class Keys:
    """What kopf enqueues."""

    def __init__(self) -> None:
        self.seen: list[PipelineKey] = []

    def reconcile(self, key: PipelineKey) -> None:
        self.seen.append(key)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_session, "_RETRY", Backoff(first=0.05, last=0.2))


async def survive(tmp_path: Path, *, faults: list[Fault], event: tuple[int, str] | None) -> None:
    server, keys = FakeApiServer(), Keys()
    async with server.serving():
        queue = WorkQueue(keys.reconcile, FakeClock(), debounce=0.01)
        working = asyncio.create_task(queue.run())
        kopf = KopfThread(server.write_kubeconfig(tmp_path / "kubeconfig"), [NAMESPACE], queue)
        kopf.start()
        ended = asyncio.create_task(kopf.wait_until_ended())
        await until("kopf to watch", lambda: server.watches(PIPELINES) == 1)
        watches = server.asked("watch")
        server.faults += faults
        if event is not None:
            server.send_error(*event, PIPELINES)
        else:
            server.cut_watches(PIPELINES)
        await asyncio.sleep(FAULTY_SECONDS)
        assert not ended.done()
        server.faults.clear()
        await until("kopf to watch again", lambda: server.watches(PIPELINES) and server.asked("watch") > watches)
        server.put(PIPELINES, manifest("later"))
        await until("the pipeline to be enqueued", lambda: PipelineKey(NAMESPACE, "later") in keys.seen)
        kopf.stop()
        await until("kopf to end when it is asked to", ended.done)
        assert await queue.shutdown(5)
        await working


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 503])
def test_kopf_survives_an_api_server_that_refuses(tmp_path: Path, status: int) -> None:
    asyncio.run(asyncio.wait_for(survive(tmp_path, faults=[Fault(status, "ingestionpipelines")], event=None), 60))


@pytest.mark.parametrize(
    "event", [(410, "too old"), (500, "etcdserver: leader changed"), (504, "timeout"), (403, "forbidden")], ids=str
)
def test_kopf_survives_error_events(tmp_path: Path, event: tuple[int, str]) -> None:
    asyncio.run(asyncio.wait_for(survive(tmp_path, faults=[], event=event), 60))


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize(
    "body", [b"<html>\n", b"[]\n", b"{}\n", b'{"type":"ADDED"}\n'], ids=["page", "list", "empty", "half"]
)
def test_kopf_survives_a_proxys_answer(tmp_path: Path, verb: str, body: bytes) -> None:
    fault = Fault(200, "ingestionpipelines", verb=verb, body=body, headers={"Content-Type": "application/json"})
    event = (410, "too old") if verb == "list" else None
    asyncio.run(asyncio.wait_for(survive(tmp_path, faults=[fault], event=event), 60))


def test_backoffs_have_no_end() -> None:
    pauses = iter(EndlessBackoffs())
    assert all(0 < next(pauses) <= 6 for _ in range(1000))
