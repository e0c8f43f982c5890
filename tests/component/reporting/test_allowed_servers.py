"""Servers that are not allowed get no call, and Secrets are not described to people who may not read them."""

import base64
import json
from typing import Any

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, SECRETS, ServerAccess
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import OUT_OF_MEMORY, reconcile, status

KEY = PipelineKey(NAMESPACE, NAME)
FOREIGN = {"hostPort": "http://169.254.169.254/latest", "tokenSecretRef": {"name": "payroll", "key": "root-password"}}
PAYROLL = {"alice.jones": "", "root-password": base64.b64encode(b"hunter2").decode()}


@pytest.fixture
def payroll(cluster: FakeCluster) -> FakeCluster:
    """A namespace with a Secret that has nothing to do with pipelines, and an ended run."""
    cluster.put(SECRETS, {"metadata": {"name": "payroll", "namespace": NAMESPACE}, "data": PAYROLL})
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(**OUT_OF_MEMORY))
    return cluster


def texts(cluster: FakeCluster) -> str:
    return json.dumps(cluster.all(PIPELINES) + cluster.all(EVENTS))


def test_a_server_that_is_not_allowed_gets_no_call_and_no_token(
    payroll: FakeCluster, sink: FakeSink, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter
) -> None:
    asked: list[ServerAccess] = []

    def version(server: ServerAccess) -> str:
        asked.append(server)
        return "2.0.6"

    settings_in_force.append(settings(allowedServers=["openmetadata:8585"]))
    versions = ServerVersions(version, start=lambda work: work())
    reconciling = Reconciling(payroll, lambda: settings_in_force[-1], clock, reporter, versions=versions)
    payroll.put(PIPELINES, manifest(server=FOREIGN))
    for _ in range(3):
        reconcile(reconciling)
        clock.forward(minutes=1)
    assert (sink.servers, asked) == ([], [])
    assert [call for call in payroll.calls if call.plural == "secrets"] == []
    assert payroll.all(CRONJOBS) == []
    reasons = {condition.type: condition.reason for condition in status(payroll).conditions}
    assert (reasons["Ready"], reasons["Reported"]) == ("ServerNotAllowed", "ReportPending")
    assert "hunter2" not in texts(payroll)
    payroll.put(PIPELINES, manifest())
    reconcile(reconciling)
    assert {server.host_port for server in [*sink.servers, *asked]} == {"http://openmetadata:8585/api"}


def test_a_server_that_is_allowed_no_longer_gets_no_report(
    payroll: FakeCluster, reconciling: Reconciling, sink: FakeSink, settings_in_force: list[Settings]
) -> None:
    payroll.put(PIPELINES, manifest())
    settings_in_force.append(settings(allowedServers=["elsewhere"]))
    reconcile(reconciling)
    assert sink.servers == []
    settings_in_force.append(settings(allowedServers=["openmetadata"]))
    reconcile(reconciling)
    assert len(sink.writes) == 1


@pytest.mark.parametrize("field", ["connectionSecretRef", "sourceConfigSecretRef", "tokenSecretRef"])
def test_the_keys_of_a_secret_are_not_listed(payroll: FakeCluster, reconciling: Reconciling, field: str) -> None:
    reference = {"name": "payroll", "key": "x"}
    changes: Any = {
        "connectionSecretRef": {"connectionSecretRef": reference},
        "sourceConfigSecretRef": {"sourceConfig": None, "sourceConfigSecretRef": reference},
        "tokenSecretRef": {"server": {"hostPort": "http://openmetadata:8585/api", "tokenSecretRef": reference}},
    }[field]
    payroll.put(PIPELINES, manifest(**changes))
    reconcile(reconciling)
    assert status(payroll).conditions[0].reason == "SecretKeyNotFound"
    assert not any(key in texts(payroll) for key in PAYROLL)
