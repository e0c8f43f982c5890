"""Queue, looks and reports together: who waits for a server is woken when it answers again."""

import asyncio

import pytest
from ingestion_operator.controllers import main
from ingestion_operator.controllers.queue import RefreshQueue

from ingestion_operator.errors import Unavailable
from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.ports import JOBS, PIPELINES
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_sink import FakeSink
from tests.support.objects import NAME, NAMESPACE, job, manifest
from tests.support.reconciling import Reconciling
from tests.support.waiting import until


def test_a_pipeline_on_demand_reports_when_its_server_is_back_though_nothing_else_happens(
    cluster: FakeCluster,
    sink: FakeSink,
    reconciling: Reconciling,
    reporter: Reporter,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main, "_REPORTS_SECONDS", 0.01)
    cluster.put(PIPELINES, manifest(schedule=None))
    cluster.put(JOBS, job(condition="Failed", scheduled=False))
    sink.down = Unavailable("away")

    async def scene() -> None:
        queue = RefreshQueue(reconciling.refresh, clock)
        versions = ServerVersions(lambda _: None)
        tasks = [
            asyncio.create_task(queue.run()),
            asyncio.create_task(main._follow_servers(reporter, versions, queue, lambda: None)),
        ]
        queue.mark(PipelineKey(NAMESPACE, NAME))
        await until("the first try has failed", lambda: sink.calls and not queue._busy)
        assert not queue._due
        sink.down = None
        clock.forward(minutes=1)
        await until("the server has the row", lambda: sink.rows)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scene())
    assert list(sink.rows) == ["uid-nightly-1"]
