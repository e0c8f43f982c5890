"""The client and the operator over an API server in memory."""

from collections.abc import Callable

from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.ports import LogStore
from ingestion_operator.settings import Settings
from tests.support import objects
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_logs import FakeLogs
from tests.support.fake_sink import FakeSink, reporter_over
from tests.support.reconciling import Reconciling


class World:
    """A cluster, the client that OpenMetadata drives, and the operator, which works when it is told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.logs = FakeLogs()
        self.settings: Settings = objects.settings()
        self.client = self.another_client()
        self.sink = FakeSink()
        reporter = reporter_over(self.cluster, self.sink, lambda: self.settings, self.clock, self.logs)
        self._refresher = Reconciling(self.cluster, lambda: self.settings, self.clock, reporter)

    def another_client(
        self, sleep: Callable[[float], None] | None = None, archive: LogStore | None = None
    ) -> K8sPipelineServiceClient:
        """Another replica of the same service."""
        return K8sPipelineServiceClient(
            self.cluster,
            namespace=objects.NAMESPACE,
            settings=lambda: self.settings,
            clock=self.clock,
            logs=self.logs,
            archive=archive,
            sleep=sleep or (lambda seconds: self.clock.forward(seconds=seconds)),
        )

    def operate(self, name: str) -> None:
        """Let the operator look at a pipeline until nothing is left to do."""
        for _ in range(5):
            before = len(self.cluster.writes)
            self._refresher.reconcile(PipelineKey(objects.NAMESPACE, name), [])
            if len(self.cluster.writes) == before:
                return
        raise AssertionError("the operator does not come to rest")
