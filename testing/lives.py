"""Lives of runs, step by step as Kubernetes goes through them, and an operator that reconciles when a test calls it."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Run
from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY: Final = PipelineKey(NAMESPACE, NAME)


class Step(NamedTuple):
    """What Kubernetes does next: an object as it is from now on, None once it is gone."""

    kind: Kind
    name: str
    body: Body | None


def job_is(**fields: Any) -> Step:
    return Step(JOBS, "nightly-1", job(**fields))


def pod_is(letter: str = "a", **fields: Any) -> Step:
    name = f"nightly-1-{letter}"
    return Step(PODS, name, pod(name, **fields))


def gone(kind: Kind, name: str) -> Step:
    return Step(kind, name, None)


def killed_job(**fields: Any) -> Step:
    step = job_is(**fields)
    assert step.body is not None
    step.body["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(30)
    return step


def outcome(state: str, reason: str, *, reported_by: str, provisional: bool = False) -> str:
    is_provisional = str(provisional).lower()
    return (
        f'{{"version": 1, "state": "{state}", "reason": "{reason}", "message": "m", '
        f'"reportedBy": "{reported_by}", "provisional": {is_provisional}}}'
    )


SUCCEEDED: Final = outcome("success", "Succeeded", reported_by="workflow")
FAILED: Final = outcome("failed", "WorkflowFailed", reported_by="workflow")
INTERRUPTED: Final = outcome("failed", "Interrupted", reported_by="runner", provisional=True)
OOM: Final[dict[str, Any]] = {"exit_code": 137, "terminated_reason": "OOMKilled"}
START: Final = [job_is(), pod_is(), pod_is(waiting=("ContainerCreating", "")), pod_is(running=True)]
RETRY: Final = [job_is(backoff_limit=1), pod_is(), pod_is(running=True)]

LIVES: Final[dict[str, tuple[list[Step], tuple[str, str]]]] = {
    "success": (
        [*START, pod_is(exit_code=0, message=SUCCEEDED), job_is(condition="Complete")],
        ("success", "Succeeded"),
    ),
    "out of memory": ([*START, pod_is(**OOM), job_is(condition="Failed")], ("failed", "OutOfMemory")),
    "a failure, then success": (
        [
            *RETRY,
            pod_is(exit_code=1, message=FAILED),
            pod_is("b", created=60),
            pod_is("b", created=60, running=True),
            pod_is("b", created=60, exit_code=0, message=SUCCEEDED, ended=90),
            job_is(backoff_limit=1, condition="Complete", ended=95),
        ],
        ("success", "Succeeded"),
    ),
    "two failures": (
        [
            *RETRY,
            pod_is(exit_code=1, message=FAILED),
            pod_is("b", created=60),
            pod_is("b", created=60, **OOM, ended=90),
            job_is(backoff_limit=1, condition="Failed", ended=95),
        ],
        ("failed", "OutOfMemory"),
    ),
    "killed, its pod gone": (
        [
            *START,
            killed_job(),
            killed_job(condition="FailureTarget", reason="DeadlineExceeded", ended=31),
            pod_is(exit_code=143, message=INTERRUPTED, ended=33),
            gone(PODS, "nightly-1-a"),
            killed_job(condition="Failed", reason="DeadlineExceeded", ended=34),
        ],
        ("stopped", "Killed"),
    ),
}
"""What Kubernetes does in the life of a run, and how that must be recorded and reported in the end."""


@dataclass
class Operator:
    """One that reconciles when a test calls it, and may be restarted at any time."""

    clock: FakeClock = field(default_factory=FakeClock)
    sink: FakeSink = field(default_factory=FakeSink)

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(self.clock)
        self.cluster.put(PIPELINES, manifest())
        self.restart()

    def restart(self) -> None:
        reporter = reporter_over(self.cluster, self.sink, settings, self.clock)
        self.reconciling = Reconciling(self.cluster, settings, self.clock, reporter)

    def happens(self, step: Step) -> None:
        if step.body is not None:
            self.cluster.put(step.kind, step.body)
        else:
            self.cluster.delete(step.kind, NAMESPACE, step.name)

    def reconcile(self) -> None:
        """Reconcile once, with a cache that is up to date; an error is left to the next time."""
        with suppress(ClusterError):
            self.reconciling.reconcile(KEY)

    def reconcile_with_old_cache(self) -> None:
        """Reconcile though the watches have not brought what has happened since."""
        with suppress(ClusterError):
            self.reconciling.reconciler.reconcile(KEY)

    def settle(self) -> None:
        """Reconcile until nothing is written."""
        for _ in range(6):
            before = len(self.cluster.writes) + len(self.sink.calls)
            self.clock.forward(seconds=90)
            self.reconcile()
            if before == len(self.cluster.writes) + len(self.sink.calls):
                return
        raise AssertionError("the operator goes on writing")

    @property
    def runs(self) -> list[Run]:
        (body,) = self.cluster.all(PIPELINES)
        return parse_status(body).runs
