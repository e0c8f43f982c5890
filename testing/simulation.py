"""The client and the operator over an API server in memory."""

from collections.abc import Callable

from ingestion_operator.api.settings import Settings
from ingestion_operator.cache.store import Store
from ingestion_operator.pipeline_service import K8sPipelineServiceClient
from ingestion_operator.ports import LogStore
from ingestion_operator.runs.jobs import PipelineKey
from testing import objects
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_sink import FakeSink, reporter_over
from testing.reconciling import Reconciling, sync


class Simulation:
    """A cluster, the client that OpenMetadata drives, and the operator, which works when a test calls it."""

    def __init__(self, *, is_cached: bool = False) -> None:
        """With `is_cached` the clients have caches, whose watches bring everything at once."""
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.logs = FakeLogs()
        self.settings: Settings = objects.settings()
        self.is_cached = is_cached
        self.client = self.another_client()
        self.sink = FakeSink()
        reporter = reporter_over(self.cluster, self.sink, lambda: self.settings, self.clock, self.logs)
        self._reconciling = Reconciling(self.cluster, lambda: self.settings, self.clock, reporter)

    def another_client(
        self,
        sleep: Callable[[float], None] | None = None,
        archive: LogStore | None = None,
        *,
        store: Store | None = None,
        is_current: Callable[[], bool] = lambda: True,
    ) -> K8sPipelineServiceClient:
        """Another replica of the same service; one with a `store` of its own knows what the test puts into it."""
        if store is None and self.is_cached:
            store = self.synced_store()
            is_current = self._watching(store)
        return K8sPipelineServiceClient(
            self.cluster,
            namespace=objects.NAMESPACE,
            settings=lambda: self.settings,
            clock=self.clock,
            logs=self.logs,
            archive=archive,
            store=store,
            is_current=is_current,
            sleep=sleep or (lambda seconds: self.clock.forward(seconds=seconds)),
        )

    def synced_store(self) -> Store:
        """A cache with everything that the cluster has now."""
        store = Store([""])
        sync(store, self.cluster)
        return store

    def operate(self, name: str) -> None:
        """Let the operator reconcile a pipeline until nothing is left to do."""
        for _ in range(5):
            before = len(self.cluster.writes)
            self._reconciling.reconcile(PipelineKey(objects.NAMESPACE, name), [])
            if len(self.cluster.writes) == before:
                return
        raise AssertionError("the operator does not come to an end")

    def _watching(self, store: Store) -> Callable[[], bool]:
        def sync_first() -> bool:
            sync(store, self.cluster)
            return True

        return sync_first
