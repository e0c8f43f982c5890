"""A thousand pipelines that miss one Secret cost few requests."""

import heapq
from datetime import timedelta
from typing import Any

import pytest

from ingestion_operator.ports import PIPELINES, SECRETS
from ingestion_operator.reconcile import secrets
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAME, NAMESPACE, NOW, manifest
from testing.reconciling import Reconciling, sync
from testing.reports import status

PIPELINES_COUNT = 1000
SECRET: Any = {"connectionSecretRef": {"name": "shop", "key": "k"}}


def test_a_new_spec_does_not_wait_for_the_back_off(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    for name in ("first", "second"):
        cluster.put(PIPELINES, manifest(name, **SECRET))
        reconciling.reconcile(PipelineKey(NAMESPACE, name))
    for _ in range(8):
        clock.forward(minutes=6)
        reconciling.reconcile(PipelineKey(NAMESPACE, "first"))
    cluster.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"k": "eA=="}})
    clock.forward(seconds=3)
    reconciling.reconcile(PipelineKey(NAMESPACE, "first"))
    assert status(cluster, "first").conditions[0].reason == "SecretNotFound"
    cluster.put(PIPELINES, manifest("second", timeout="1h", **SECRET))
    cluster.put(PIPELINES, manifest("third", **SECRET))
    for name in ("second", "third"):
        reconciling.reconcile(PipelineKey(NAMESPACE, name))
        assert status(cluster, name).conditions[0].reason == "Reconciled"


def test_a_thousand_pipelines_share_reads_of_a_missing_secret(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    due = []
    for number in range(PIPELINES_COUNT):
        cluster.put(PIPELINES, manifest(f"p{number}", **SECRET))
        due.append((NOW, PipelineKey(NAMESPACE, f"p{number}")))
    sync(reconciling.store, cluster)
    requests = 0
    while due[0][0] < NOW + timedelta(minutes=10):
        moment, key = heapq.heappop(due)
        clock.moment = max(clock.moment, moment)
        again = reconciling.reconciler.reconcile(key)
        assert again is not None
        heapq.heappush(due, (again, key))
        if moment == NOW:
            cluster.calls.clear()  # its CronJob is created
    requests = len(cluster.calls)
    assert [call for call in cluster.calls if call.plural != "secrets"] == []
    assert requests < 30, "5 a second were allowed"
    cluster.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"k": "eA=="}})
    sync(reconciling.store, cluster)
    for moment, key in sorted(due):
        clock.moment = max(clock.moment, moment)
        reconciling.reconciler.reconcile(key)
    assert clock.moment < NOW + timedelta(minutes=16)
    assert {status(cluster, f"p{number}").conditions[0].status for number in range(0, PIPELINES_COUNT, 97)} == {"True"}


def test_secrets_of_earlier_deploys_are_forgotten(
    cluster: FakeCluster, reconciling: Reconciling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a source configuration's Secret follows from its content: each deploy brings another one."""
    monkeypatch.setattr(secrets, "_MAX_SECRETS", 20)
    checks = reconciling.reconciler._cronjobs._secrets
    for number in range(100):
        cluster.put(PIPELINES, manifest(connectionSecretRef={"name": f"shop-{number}", "key": "k"}))
        reconciling.reconcile(PipelineKey(NAMESPACE, NAME))
    assert max(len(checks._secrets), len(checks._locks)) <= 20
