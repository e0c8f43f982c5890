"""A pipeline in the fake cluster: how a test reconciles it, and what it reads of the result."""

from datetime import datetime, timedelta

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Condition, PipelineStatus, Run
from ingestion_operator.ports import EVENTS, PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_cluster import Call, FakeCluster
from testing.objects import NAME, NAMESPACE, Body, manifest
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
STATUS = Call("apply", "ingestionpipelines", NAME, "status")


def status(cluster: FakeCluster) -> PipelineStatus:
    (body,) = cluster.all(PIPELINES)
    return parse_status(body)


def ready(cluster: FakeCluster) -> Condition:
    return next(condition for condition in status(cluster).conditions if condition.type == "Ready")


def only_run(cluster: FakeCluster) -> Run:
    (run,) = status(cluster).runs
    return run


def reasons(cluster: FakeCluster) -> list[str]:
    return [event["reason"] for event in cluster.all(EVENTS)]


def not_ready() -> Body:
    """A pipeline that deserves an Event: a Secret of it is missing."""
    return manifest(connectionSecretRef={"name": "shop", "key": "connection"})


def reconcile(reconciling: Reconciling, *deleted_pods: Body) -> datetime | None:
    return reconciling.reconcile(KEY, deleted_pods)


def assert_about(moment: datetime | None, expected: datetime) -> None:
    """Assert a moment up to the second of jitter after `expected`."""
    assert moment is not None
    assert expected <= moment <= expected + timedelta(seconds=1)
