"""One pipeline while a call of its reconciliation fails."""

from collections.abc import Callable
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.errors import ClusterError, Conflict, Unavailable
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, at, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
SECRET: Any = {
    "connectionSecretRef": {"name": "shop", "key": "k"},
    "concurrency": {"policy": "Allow", "maxActiveRuns": 5},
}

FAULTS: list[Any] = [
    pytest.param(error, id=name)
    for name, error in {
        "conflict": Conflict("changed meanwhile", code=409),
        "overload": Unavailable("too many requests", code=429),
        "server error": Unavailable("internal error", code=500),
        "timeout": Unavailable("timed out"),
    }.items()
]


def _begin(cluster: FakeCluster) -> None:
    """A new, suspended pipeline with a run, whose Secret is missing."""
    cluster.put(PIPELINES, manifest(suspend=True, **SECRET))
    cluster.put(JOBS, job("gone"))


def _go_on(cluster: FakeCluster) -> None:
    """The pipeline is unsuspended; one run has ended, one has lost its Job, and one waits for a slot."""
    cluster.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"k": "eA=="}})
    cluster.put(PIPELINES, manifest(**SECRET))
    cluster.delete(JOBS, NAMESPACE, "gone")
    cluster.put(JOBS, job(condition="Complete"))
    cluster.put(PODS, pod(exit_code=0))
    waiting = job("waiting", suspended=True, scheduled=False)
    waiting["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(1)
    cluster.put(JOBS, waiting)


STEPS: list[Callable[[FakeCluster], None]] = [_begin, _go_on]
CALLS = [
    (0, "get", "cronjobs"), (0, "apply", "cronjobs"), (0, "get", "secrets"), (0, "apply", "ingestionpipelines"),
    (0, "create", "events"), (1, "dry_run", "cronjobs"), (1, "merge_patch", "cronjobs"), (1, "apply", "cronjobs"),
    (1, "get", "secrets"), (1, "get", "jobs"), (1, "apply", "ingestionpipelines"), (1, "merge_patch", "jobs"),
    (1, "create", "events"),
]  # fmt: skip


def _settled(cluster: FakeCluster) -> list[Any]:
    """What must be the same in the end, whatever went wrong on the way."""
    (cronjob,), (pipeline,) = cluster.all(CRONJOBS), cluster.all(PIPELINES)
    jobs = {body["metadata"]["name"]: body["spec"]["suspend"] for body in cluster.all(JOBS)}
    return [cronjob["spec"], cronjob.get("status"), parse_status(pipeline), jobs]


def _end(fault: Callable[[FakeCluster], object] | None, step: int, call: tuple[str, str]) -> list[Any]:
    """Go through all steps, with a fault before one of them."""
    clock = FakeClock()
    cluster = FakeCluster(clock)
    reconciling = Reconciling(cluster, settings, clock, reporter_over(cluster, FakeSink(), settings, clock))
    for number, happen in enumerate(STEPS):
        happen(cluster)
        cluster.calls.clear()
        if fault is not None and number == step:
            fault(cluster)
        for _ in range(3):  # the queue retries
            try:
                reconciling.reconcile(KEY)
            except ClusterError:
                continue
        assert number != step or call in {(each.verb, each.plural) for each in cluster.calls}
        clock.forward(seconds=10)
    cluster.calls.clear()
    reconciling.reconcile(KEY)
    assert cluster.writes == []
    return _settled(cluster)


@pytest.mark.parametrize("is_done", [False, True], ids=["the request", "the answer"])
@pytest.mark.parametrize(("step", "verb", "plural"), CALLS)
@pytest.mark.parametrize("error", FAULTS)
def test_a_call_that_fails_once_changes_nothing_in_the_end(
    error: Exception, step: int, verb: str, plural: str, *, is_done: bool
) -> None:
    def fault(cluster: FakeCluster) -> None:
        cluster.fail(verb, error, plural=plural, after=is_done)

    assert _end(fault, step, (verb, plural)) == _end(None, step, (verb, plural))
