"""Two operators for one namespace, as programs: one leads, and what happens to it costs no run and doubles none."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.constants import LEASE_NAME
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, LEASES, PIPELINES
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing import objects
from testing.gateway_process import write_account_kubeconfig
from testing.waiting import wait_for

TAKE_OVER_SECONDS = 15 + 3
HAND_OVER_SECONDS = 3


class Replica:
    """One operator."""

    def __init__(self, folder: Path, name: str, namespace: str, kubeconfig: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = folder / f"{name}.log"
        (folder / "settings.yaml").write_text(
            yaml.safe_dump(
                {
                    "runnerImages": {"2.0": {"image": "localhost/pause:1", "version": "2.0.6.0"}},
                    "defaultServerVersion": "2.0",
                }
            )
        )
        arguments = [
            f"--settings={folder / 'settings.yaml'}",
            f"--namespace={namespace}",
            f"--kubeconfig={kubeconfig}",
            f"--liveness=http://127.0.0.1:{self.port}/healthz",
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingestion_operator", *arguments],
                env={
                    **os.environ,
                    "NO_PROXY": "*",
                    "no_proxy": "*",
                    "PYTHONPATH": str(CHECKOUT / "operator"),
                    "POD_NAME": name,
                },
                stderr=output,
            )

    def read(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.read("/healthz"))
        except OSError:
            return False

    def sample(self, name: str) -> float | None:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.read("/metrics"), re.MULTILINE)
        return float(found[1]) if found else None

    @property
    def leads(self) -> bool:
        return self.is_up() and self.sample("ingestion_operator_leader") == 1

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def kubeconfig(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The credentials of the operator's ServiceAccount, which has the Role of manifests/ and nothing else."""
    path = tmp_path_factory.mktemp("operator") / "kubeconfig"
    return write_account_kubeconfig(cluster, namespace, path, account="ingestion-operator", manifest="rbac.yaml")


@pytest.fixture
def replicas(tmp_path: Path, kubeconfig: Path, namespace: str, api: KubernetesCluster) -> Iterator[list[Replica]]:
    """The one that leads, and the standby."""
    api.delete(LEASES, namespace, LEASE_NAME, propagation="Background")
    started = [Replica(tmp_path, "first", namespace, kubeconfig)]
    try:
        wait_for("the first to lead", lambda: started[0].leads, timeout=60)
        started.append(Replica(tmp_path, "second", namespace, kubeconfig))
        wait_for("the second to be there", started[1].is_up, timeout=60)
        yield started
    finally:
        for replica in started:
            replica.end()


def pipeline(namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    return objects.manifest(name, namespace, **changes)


def status(api: KubernetesCluster, namespace: str, name: str) -> dict[str, Any]:
    found = api.get(PIPELINES, namespace, name) or {}
    return dict(found.get("status", {}))


def test_a_leader_killed_at_a_tick_loses_and_doubles_nothing(
    replicas: list[Replica], api: KubernetesCluster, namespace: str
) -> None:
    leader, other = replicas
    missing = {"name": "missing", "key": "connection"}  # runs start all the same; the status reports it once
    body = pipeline(namespace, "ticking", schedule={"cron": "* * * * *"}, connectionSecretRef=missing)
    api.create(PIPELINES, body)
    wait_for("the CronJob", lambda: api.get(CRONJOBS, namespace, "ticking"), timeout=30)
    assert not other.leads
    jobs = wait_for("a tick", lambda: api.list(JOBS, namespace, {}), timeout=75)
    leader.process.kill()
    began = time.monotonic()
    wait_for("the other to lead", lambda: other.leads, timeout=TAKE_OVER_SECONDS)
    seconds = time.monotonic() - began
    print(f"took over after {seconds:.1f} s")  # noqa: T201  a figure for the documents
    expected = {job["metadata"]["uid"] for job in jobs}
    wait_for(
        "the run in the status",
        lambda: expected <= {run["id"] for run in status(api, namespace, "ticking").get("runs", [])},
        timeout=30,
    )
    runs = [run["job"] for run in status(api, namespace, "ticking")["runs"]]
    assert len(runs) == len(set(runs))
    ticks = [job["metadata"]["name"] for job in api.list(JOBS, namespace, {})]
    assert sorted(runs) == sorted(ticks)
    reported = [
        event
        for event in api.list(EVENTS, namespace, {})
        if event["reason"] == "SecretNotFound" and event["involvedObject"]["name"] == "ticking"
    ]
    assert len(reported) == 1
    api.delete(PIPELINES, namespace, "ticking", propagation="Background")


def test_a_leader_that_ends_in_order_hands_over_at_once(
    replicas: list[Replica], api: KubernetesCluster, namespace: str
) -> None:
    leader, other = replicas
    api.create(PIPELINES, pipeline(namespace, "quiet", schedule=None))
    wait_for("Ready", lambda: status(api, namespace, "quiet").get("conditions"), timeout=30)
    before = api.get(PIPELINES, namespace, "quiet")
    asked = time.monotonic()
    leader.process.send_signal(signal.SIGTERM)
    assert leader.process.wait(30) == 0
    ended = time.monotonic()
    wait_for("the other to lead", lambda: other.leads, timeout=HAND_OVER_SECONDS + 5)
    leads = time.monotonic()
    print(f"ended after {ended - asked:.1f} s, handed over {leads - ended:.1f} s later")  # noqa: T201  a figure for the documents
    assert leads - ended < HAND_OVER_SECONDS
    wait_for(
        "the other to have reconciled it",
        lambda: other.sample('ingestion_pipelines{ready="true",reason="Reconciled"}'),
        timeout=30,
    )
    assert api.get(PIPELINES, namespace, "quiet") == before
    writes = [
        line
        for line in other.read("/metrics").splitlines()
        if line.startswith("ingestion_operator_api_requests_total") and 'verb="GET"' not in line
    ]
    assert all('resource="leases"' in line for line in writes), writes


def test_every_watch_exports_its_age(replicas: list[Replica], namespace: str) -> None:
    leader = replicas[0]

    def ages() -> list[float | None]:
        return [
            leader.sample(f'ingestion_operator_watch_age_seconds{{resource="{resource}",scope="{namespace}"}}')
            for resource in ("ingestionpipelines", "cronjobs", "jobs", "pods")
        ]

    wait_for("four watches", lambda: None not in ages(), timeout=20)
    assert all(age is not None and age < 120 for age in ages())


def test_a_standby_that_is_asked_to_end_ends_in_order(replicas: list[Replica]) -> None:
    replicas[1].process.send_signal(signal.SIGTERM)
    assert replicas[1].process.wait(30) == 0
    assert replicas[0].leads
