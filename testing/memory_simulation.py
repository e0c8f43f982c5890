"""One run whose memory does not suffice; Kubernetes and the operator work when a test calls them."""

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.run_stopper import RunStopper
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES
from ingestion_operator.runs.jobs import PipelineKey, read_job
from testing.fake_clock import FakeClock
from testing.fake_sink import FakeSink, reporter_over
from testing.job_controller import JobCluster, JobController
from testing.objects import NAME, NAMESPACE, Body, manifest, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
FIRST = "nightly-1"


class MemorySimulation:
    """A pipeline with one scheduled run; Kubernetes and the operator work when a test calls them."""

    def __init__(self, *, retries: int = 0, most: str = "2Gi", grows: bool = True, runs: int = 1) -> None:
        self.clock = FakeClock()
        self.cluster = JobCluster(self.clock, grows=grows)
        self.kubernetes = JobController(self.cluster, self.clock)
        self.sink = FakeSink()
        self.reconciling = self.another_operator()
        more = {"limit": retries, "onOutOfMemory": {"memoryFactor": 2, "maxMemory": most}}
        resources = {"limits": {"memory": "512Mi"}, "requests": {"memory": "256Mi"}}
        concurrency = {"policy": "Forbid" if runs == 1 else "Allow", "maxActiveRuns": runs}
        template = {"container": {"resources": resources}}
        self.cluster.put(PIPELINES, manifest(retry=more, podTemplate=template, concurrency=concurrency))
        self.reconcile()
        self.job = self.kubernetes.start(self.cluster.all(CRONJOBS)[0], FIRST)
        self.run_id = self.job["metadata"]["uid"]

    def another_operator(self) -> Reconciling:
        reporter = reporter_over(self.cluster, self.sink, settings, self.clock)
        return Reconciling(self.cluster, settings, self.clock, reporter)

    def reconcile(self) -> None:
        self.reconciling.reconcile(KEY)

    def attempt(self) -> str:
        """Let the next pod start; return its memory limit."""
        for _ in range(4):
            self.kubernetes.sync()
            self.reconcile()
            if memory := self.kubernetes.run():
                self.reconcile()
                return memory[0]
        raise AssertionError("no other attempt follows")

    @property
    def status(self) -> PipelineStatus:
        (body,) = self.cluster.all(PIPELINES)
        return parse_status(body)

    @property
    def run(self) -> Run:
        (run,) = self.status.runs
        return run

    def live(self, name: str = FIRST) -> Body:
        found = self.cluster.get(JOBS, NAMESPACE, name)
        assert found is not None
        return found

    def jobs(self) -> list[str]:
        return [body["metadata"]["name"] for body in self.cluster.all(JOBS)]

    def kill(self) -> None:
        stopper = RunStopper(self.cluster, NAMESPACE, self.clock, "a person", CacheAccess(NAMESPACE))
        for body in self.cluster.all(JOBS):
            stopper.stop(read_job(body))

    def events(self) -> list[str]:
        return [event["message"] for event in self.cluster.all(EVENTS) if event["reason"] == "OutOfMemory"]

    def settle(self) -> None:
        """Let both sides work until nothing changes."""
        for _ in range(6):
            self.kubernetes.sync()
            self.reconcile()


def written(simulation: MemorySimulation, since: int) -> list[str]:
    return [call.verb for call in simulation.cluster.writes[since:] if call.plural == "jobs"]
