"""A pipeline that owes OpenMetadata a report, and what is seen of it."""

import base64
from datetime import datetime
from typing import Any

from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Condition, PipelineStatus, Run
from ingestion_operator.errors import Unavailable
from ingestion_operator.ports import EVENTS, PIPELINES
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_cluster import Call, FakeCluster
from testing.fake_sink import Row
from testing.objects import NAME, NAMESPACE, NOW, Body
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
RUN = "uid-nightly-1"
STATUS = Call("apply", "ingestionpipelines", NAME, "status")
TOKEN = {"name": "bot", "key": "token"}
SERVER = {"hostPort": "http://openmetadata:8585/api", "tokenSecretRef": TOKEN}
AWAY = Unavailable("PUT http://openmetadata: connection refused")
OUT_OF_MEMORY: Body = {"exit_code": 137, "terminated_reason": "OOMKilled"}
PROVISIONAL = [{"name": "Runner", "errors": 1, "failures": [{"name": "Interrupted", "error": "x", "stackTrace": "y"}]}]


def status(cluster: FakeCluster, name: str = NAME) -> PipelineStatus:
    return parse_status(next(body for body in cluster.all(PIPELINES) if body["metadata"]["name"] == name))


def only_run(cluster: FakeCluster) -> Run:
    (run,) = status(cluster).runs
    return run


def reported(cluster: FakeCluster, name: str = NAME) -> Condition | None:
    return next((c for c in status(cluster, name).conditions if c.type == "Reported"), None)


def reason(cluster: FakeCluster) -> str | None:
    condition = reported(cluster)
    return condition.reason if condition else None


def events(cluster: FakeCluster) -> list[str]:
    return [event["reason"] for event in cluster.all(EVENTS)]


def secret(token: str) -> Body:
    data = {"token": base64.b64encode(f"{token}\n".encode()).decode()}
    return {"metadata": {"name": "bot", "namespace": NAMESPACE}, "data": data}


def reconcile(reconciling: Reconciling, *observed: Body) -> datetime | None:
    return reconciling.reconcile(KEY, list(observed))


def row(state: str, ended: float | None = None, **more: Any) -> Row:
    seconds = NOW.timestamp() + (ended or 0)
    return {"runId": RUN, "pipelineState": state} | ({"endDate": int(seconds * 1000)} if ended else {}) | more
