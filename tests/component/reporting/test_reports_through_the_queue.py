"""Queue, reconciler and reports together: a pipeline that waits for a server is enqueued when that may be called."""

import asyncio
from pathlib import Path

import pytest

from ingestion_operator.controller import app
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import JOBS, PIPELINES
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.kubeconfigs import operator_for
from testing.objects import NAME, NAMESPACE, job, manifest
from testing.reconciles import idle, running
from testing.reconciling import Reconciling
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


async def test_a_pipeline_on_demand_reports_when_its_server_is_back(
    cluster: FakeCluster,
    sink: FakeSink,
    reconciling: Reconciling,
    reporter: Reporter,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(app, "_REPORTS_SECONDS", 0.01)
    cluster.put(PIPELINES, manifest(schedule=None))
    cluster.put(JOBS, job(condition="Failed", scheduled=False))
    sink.down = Unavailable("away")
    operator = operator_for("http://127.0.0.1:1", tmp_path)
    async with running(reconciling.reconcile, clock) as queue:
        operator._reporter, operator._queue = reporter, queue
        following = asyncio.create_task(operator._follow_servers(lambda: None))
        queue.add(PipelineKey(NAMESPACE, NAME))
        await until("the first try has failed", lambda: sink.calls)
        await idle(queue)
        sink.down = None
        clock.forward(minutes=1)
        await until("the server has the row", lambda: sink.rows)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert list(sink.rows) == ["uid-nightly-1"]
