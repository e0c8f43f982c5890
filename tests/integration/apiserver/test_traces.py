"""The operator as a program, a collector beside it, and times as a real API server notes them."""

from pathlib import Path

import yaml

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.constants import ANNOTATION_REQUESTED_AT, ANNOTATION_STOP
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import JOBS, PIPELINES
from ingestion_operator.runs.trace import run_trace_id
from testcluster.handle import Cluster
from testing import objects
from testing.collector import start_collector
from testing.operator_process import start_operator
from testing.waiting import wait_for

NAME = "traced"


def waiting_job(namespace: str, uid: str) -> objects.Body:
    """A run that was stopped while it waited."""
    now = format_timestamp(SystemClock().now())
    stopped = {ANNOTATION_REQUESTED_AT: now, ANNOTATION_STOP: now}
    return objects.job_to_create("traced-1", namespace, uid, pipeline_name=NAME, suspend=True, annotations=stopped)


def test_a_deploy_and_the_run_after_it_reach_a_collector(
    cluster: Cluster, api: KubernetesCluster, namespace: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    with start_collector() as collector:
        settings.write_text(yaml.safe_dump(objects.SETTINGS | {"tracing": {"endpoint": collector.endpoint}}))
        with start_operator(tmp_path, kubeconfig=cluster.kubeconfig, namespace=namespace, settings=settings):
            created = api.create(PIPELINES, objects.manifest(NAME, namespace, schedule=None))
            wait_for("the deploy", lambda: collector.spans, timeout=30)
            job = api.create(JOBS, waiting_job(namespace, created["metadata"]["uid"]))
            wait_for("the run", lambda: len(collector.spans) == 3, timeout=30)
        deploy, run, queue = collector.spans
    assert [span["name"] for span in (deploy, run, queue)] == ["deploy", "run", "queue"]
    assert 0 <= int(deploy["endTimeUnixNano"]) - int(deploy["startTimeUnixNano"]) < 30e9
    assert run["links"] == [{"traceId": deploy["traceId"], "spanId": deploy["spanId"]}]
    assert run["traceId"] == queue["traceId"] == run_trace_id(namespace, NAME, job["metadata"]["uid"])
    assert queue["parentSpanId"] == run["spanId"]
