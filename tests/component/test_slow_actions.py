"""Actions that take long keep a worker for a bounded time, and those that fail do not keep others from being done."""

import contextlib
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.errors import ActionsFailed, Unavailable
from ingestion_operator.ports import JOBS, PIPELINES
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import Body, at, job, manifest
from testing.reconciling import Reconciling
from testing.reports import KEY

JOBS_COUNT = 40


@pytest.fixture
def killed(cluster: FakeCluster) -> FakeCluster:
    """A pipeline whose many runs are to end."""
    body = manifest(concurrency={"policy": "Allow", "maxActiveRuns": 100})
    body["metadata"]["annotations"] = {constants.ANNOTATION_KILL: at(10)}
    cluster.put(PIPELINES, body)
    for number in range(JOBS_COUNT):
        cluster.put(JOBS, job(f"r{number:02}", created=-number, scheduled=False))
    return cluster


def slowed(cluster: FakeCluster, clock: FakeClock, *, seconds: float, refused: str) -> None:
    """Let each patch of a Job take some time; those whose name begins with `refused` fail."""
    patch = cluster.merge_patch

    def slow(kind: Any, namespace: str, name: str, *rest: Any, **options: Any) -> Body:
        if kind is JOBS:
            clock.forward(seconds=seconds)
            if name.startswith(refused):
                raise Unavailable("HTTP 500: failed calling webhook: context deadline exceeded", code=500)
        return patch(kind, namespace, name, *rest, **options)

    cluster.merge_patch = slow  # type: ignore[method-assign]


def ending(cluster: FakeCluster) -> int:
    return sum(body["spec"].get("activeDeadlineSeconds") == 1 for body in cluster.all(JOBS))


def test_a_reconciliation_with_slow_actions_ends_in_time(
    killed: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    slowed(killed, clock, seconds=10, refused="none")
    begun = clock.moment
    again = reconciling.reconcile_once(KEY)
    assert (clock.moment - begun).total_seconds() <= 80
    assert again == clock.moment
    for _ in range(8):
        reconciling.reconcile_once(KEY)
    assert ending(killed) == JOBS_COUNT


def test_actions_that_fail_slowly_do_not_keep_others_waiting(
    killed: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    slowed(killed, clock, seconds=30, refused="r0")
    for _ in range(16):
        with contextlib.suppress(ActionsFailed):
            reconciling.reconcile_once(KEY)
    assert ending(killed) == JOBS_COUNT - 10
