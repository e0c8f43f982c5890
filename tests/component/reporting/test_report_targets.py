"""The end of a run is reported where the run was started, whatever the pipeline's spec is by then."""

from typing import Any

import pytest

from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, Body, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import OUT_OF_MEMORY, SERVER, reconcile, secret, status

BEFORE = ("http://openmetadata:8585/api", f"shop.{NAME}", "old")
CHANGES: list[dict[str, Any]] = [
    {"server": {"hostPort": "http://another:8585/api"}},
    {"service": {"type": "databaseService", "name": "warehouse"}},
    {"fullyQualifiedName": "shop.renamed"},
    {"server": SERVER | {"tokenSecretRef": {"name": "other-bot", "key": "token"}}},
    {"pipelineType": "of-old"},
]


def rendered(cluster: FakeCluster, **fields: Any) -> Body:
    """A Job as the CronJob controller makes it."""
    (cronjob,) = cluster.all(CRONJOBS)
    body = job(owner=cronjob["metadata"]["uid"], owner_kind="CronJob", **fields)
    body["spec"]["template"] = cronjob["spec"]["jobTemplate"]["spec"]["template"]
    return body


def reported_to(sink: FakeSink) -> set[tuple[str, str, str | None]]:
    """Server, name of the pipeline and token of all calls."""
    pairs = zip(sink.servers, sink.calls, strict=True)
    return {(server.host_port, name, server.token) for server, (_, name, _) in pairs}


@pytest.mark.parametrize("deletes_job", [False, True], ids=["Job is there", "Job is gone"])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_end_is_reported_where_the_run_was_started(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, change: dict[str, Any], *, deletes_job: bool
) -> None:
    cluster.put(SECRETS, secret("old"))
    cluster.put(PIPELINES, manifest(server=SERVER))
    reconcile(reconciling)
    started = rendered(cluster)
    cluster.put(JOBS, started)
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    cluster.put(PIPELINES, manifest(**({"server": SERVER} | change)))
    reconcile(reconciling)
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    if deletes_job:
        cluster.delete(JOBS, NAMESPACE, "nightly-1")
    else:
        ended = job(condition="Failed")["status"]
        cluster.put(JOBS, started | {"status": ended})
    reconcile(reconciling)
    assert reported_to(sink) == {BEFORE}
    assert status(cluster).runs[0].report == "Done"


def test_runs_of_two_servers_are_reported_to_both(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.put(JOBS, rendered(cluster, condition="Failed"))
    cluster.put(PIPELINES, manifest(server={"hostPort": "http://another:8585/api"}))
    cluster.put(PODS, pod(running=True))  # the first run's report waits for its pod
    reconcile(reconciling)
    cluster.put(JOBS, rendered(cluster, name="second", created=100, ended=160, condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    reconcile(reconciling)
    assert {server for server, _, _ in reported_to(sink)} == {BEFORE[0], "http://another:8585/api"}
    assert {run.report for run in status(cluster).runs} == {"Done"}
