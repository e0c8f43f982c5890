"""The operator's log lines, as the container writes them: what they are about, and nothing secret."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from ingestion_operator.controllers.queue import RefreshQueue

from ingestion_operator.errors import Unavailable
from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.log_lines import JsonLines
from ingestion_operator.ports import PIPELINES, SECRETS
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_sink import FakeSink
from tests.support.objects import NAME, NAMESPACE, manifest
from tests.support.reconciling import Reconciling

TOKEN = "eyJzZWNyZXQ"
"""As it stands in the Secret, and base64 of it below."""


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(JsonLines().format(record))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def work(reconciling: Reconciling, clock: FakeClock, looks: int) -> None:
    async def scene() -> None:
        done: list[int] = []

        def reconcile(key: PipelineKey, pods: list[dict[str, Any]]) -> None:
            try:
                reconciling.reconcile(key, pods)
            finally:
                done.append(1)

        queue = RefreshQueue(look, clock)
        task = asyncio.create_task(queue.run())
        while len(done) < looks:
            queue.mark(PipelineKey(NAMESPACE, NAME), after=0)
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_lines_from_a_worker_name_pipeline_and_run_and_no_token(
    ended: FakeCluster, reconciling: Reconciling, clock: FakeClock, sink: FakeSink, lines: Lines
) -> None:
    server = {"hostPort": "http://om:8585/api", "tokenSecretRef": {"name": "bot", "key": "token"}}
    ended.put(PIPELINES, manifest(server=server))
    encoded = "ZXlKelpXTnlaWFE="
    secret = {"metadata": {"namespace": NAMESPACE, "name": "bot"}, "data": {"token": encoded}}
    ended.put(SECRETS, {"apiVersion": "v1", "kind": "Secret", **secret})
    sink.down = Unavailable("away")
    work(reconciling, clock, 1)
    assert sink.servers
    assert sink.servers[0].token == TOKEN
    waits = [json.loads(text) for text in lines.texts if "has to wait" in text]
    assert waits
    assert (waits[0]["namespace"], waits[0]["pipeline"], waits[0]["run"]) == (NAMESPACE, NAME, "uid-nightly-1")
    assert [text for text in lines.texts if TOKEN in text or encoded in text] == []


def test_a_look_that_fails_names_its_pipeline(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock, lines: Lines
) -> None:
    cluster.fail("get", Unavailable("away"))
    work(reconciling, clock, 2)
    (line,) = [json.loads(text) for text in lines.texts if "next try" in text]
    assert (line["namespace"], line["pipeline"], line["level"]) == (NAMESPACE, NAME, "WARNING")
