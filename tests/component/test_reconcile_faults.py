"""One look at one pipeline while a call of it fails."""

from typing import Any

import pytest

from ingestion_operator.errors import ClusterError, Conflict, Unavailable
from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.models.resource import parse_status
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_sink import FakeSink, reporter_over
from tests.support.objects import NAME, NAMESPACE, job, manifest, pod, settings
from tests.support.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)

FAULTS: list[Any] = [
    pytest.param(error, id=name)
    for name, error in {
        "conflict": Conflict("changed meanwhile", code=409),
        "overload": Unavailable("too many requests", code=429),
        "server error": Unavailable("internal error", code=500),
        "timeout": Unavailable("timed out"),
    }.items()
]
VERBS = [
    ("get", "ingestionpipelines"), ("get", "cronjobs"), ("get", "secrets"), ("list", "jobs"), ("list", "pods"),
    ("apply", "cronjobs"), ("merge_patch", "cronjobs"), ("apply", "ingestionpipelines"), ("create", "events"),
]  # fmt: skip


def _settled(cluster: FakeCluster) -> list[Any]:
    """What must be the same in the end, whatever went wrong on the way."""
    (cronjob,), (pipeline,) = cluster.all(CRONJOBS), cluster.all(PIPELINES)
    return [cronjob["spec"], cronjob.get("status"), parse_status(pipeline)]


def _busy(cluster: FakeCluster) -> None:
    """A pipeline that is unsuspended while a run of it has ended: every verb is used."""
    cluster.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"k": "eA=="}})
    cluster.put(PIPELINES, manifest(connectionSecretRef={"name": "shop", "key": "k"}))
    cluster.put(JOBS, job(condition="Complete"))
    cluster.put(PODS, pod(exit_code=0))


@pytest.mark.parametrize("lost", [False, True], ids=["the request", "the answer"])
@pytest.mark.parametrize(("verb", "plural"), VERBS)
@pytest.mark.parametrize("error", FAULTS)
def test_a_call_that_fails_once_does_not_change_where_things_end(
    clock: FakeClock, error: Exception, verb: str, plural: str, lost: bool
) -> None:
    outcomes = []
    for faulty in (False, True):
        cluster = FakeCluster(clock)
        reconciling = Reconciling(cluster, settings, clock, reporter_over(cluster, FakeSink(), settings, clock))
        cluster.put(PIPELINES, manifest(suspend=True, connectionSecretRef={"name": "shop", "key": "k"}))
        reconciling.reconcile(KEY, [])
        _busy(cluster)
        cluster.calls.clear()
        if faulty:
            cluster.fail(verb, error, plural=plural, after=lost)
        for _ in range(3):  # the queue looks again after an error
            try:
                reconciling.reconcile(KEY, [])
            except ClusterError:
                continue
        assert faulty or (verb, plural) in {(call.verb, call.plural) for call in cluster.calls}
        outcomes.append(_settled(cluster))
        cluster.calls.clear()
        reconciling.reconcile(KEY, [])
        assert cluster.writes == []
    assert outcomes[0] == outcomes[1]
