"""The operator's log lines, as the container writes them: what they are about, and nothing secret."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import PIPELINES, SECRETS
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.json_logging import JsonLines
from ingestion_operator.runtime.workqueue import Reconcile
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, manifest
from testing.reconciles import running
from testing.reconciling import Reconciling
from testing.waiting import until

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


def work(reconcile: Reconcile, clock: FakeClock, times: int) -> None:
    """Let a worker of the queue reconcile so many times, whatever comes of it."""

    async def run() -> None:
        done: list[int] = []

        def counted(key: PipelineKey) -> datetime | None:
            try:
                return reconcile(key)
            finally:
                done.append(1)

        async with running(counted, clock) as queue:
            queue.add(PipelineKey(NAMESPACE, NAME))
            await until(f"{times} reconciliations", lambda: len(done) >= times)

    asyncio.run(run())


def test_lines_from_a_worker_name_pipeline_and_run_and_no_token(
    ended: FakeCluster, reconciling: Reconciling, clock: FakeClock, sink: FakeSink, lines: Lines
) -> None:
    server = {"hostPort": "http://om:8585/api", "tokenSecretRef": {"name": "bot", "key": "token"}}
    ended.put(PIPELINES, manifest(server=server))
    encoded = "ZXlKelpXTnlaWFE="
    secret = {"metadata": {"namespace": NAMESPACE, "name": "bot"}, "data": {"token": encoded}}
    ended.put(SECRETS, {"apiVersion": "v1", "kind": "Secret", **secret})
    sink.down = Unavailable("away")
    work(reconciling.reconcile, clock, 1)
    assert sink.servers
    assert sink.servers[0].token == TOKEN
    waits = [json.loads(text) for text in lines.texts if "a report failed" in text]
    assert waits
    assert (waits[0]["namespace"], waits[0]["pipeline"], waits[0]["run"]) == (NAMESPACE, NAME, "uid-nightly-1")
    assert [text for text in lines.texts if TOKEN in text or encoded in text] == []


def test_a_reconciliation_that_fails_names_its_pipeline(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock, lines: Lines
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.fail("apply", Unavailable("away"), plural="ingestionpipelines")
    work(reconciling.reconcile, clock, 2)
    (line,) = [json.loads(text) for text in lines.texts if "next attempt" in text]
    assert (line["namespace"], line["pipeline"], line["level"]) == (NAMESPACE, NAME, "WARNING")
