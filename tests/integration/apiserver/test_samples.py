"""The samples as a real API server sees them; tests/unit holds them against the model."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.ports import CRONJOBS, PIPELINES
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testing.fake_sink import FakeSink, reporter_over
from testing.live_reconciling import LiveReconciling
from testing.objects import settings
from testing.waiting import wait_for

SAMPLES = sorted((CHECKOUT / "manifests" / "samples").glob("*.yaml"))
TOKEN = "ingestion-bot"


@pytest.fixture
def reconciler(api: KubernetesCluster, namespace: str) -> LiveReconciling:
    in_force, clock = settings(), SystemClock()
    reporter = reporter_over(api, FakeSink(), lambda: in_force, clock)
    return LiveReconciling(api, namespace, lambda: in_force, clock, reporter)


def ready(api: KubernetesCluster, namespace: str, name: str) -> dict[str, Any]:
    body = api.get(PIPELINES, namespace, name)
    assert body is not None
    return next(condition for condition in body["status"]["conditions"] if condition["type"] == "Ready")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_ready_once_its_secret_exists(
    cluster: Cluster, api: KubernetesCluster, namespace: str, reconciler: LiveReconciling, path: Path
) -> None:
    cluster.kubectl("-n", namespace, "delete", "secret", TOKEN, "--ignore-not-found")
    cluster.kubectl("-n", namespace, "apply", "--server-side", "--filename", str(path))
    name = yaml.safe_load(path.read_text())["metadata"]["name"]

    reconciler.reconcile(name)
    missing = ready(api, namespace, name)
    assert (missing["status"], missing["reason"]) == ("False", "SecretNotFound")
    assert TOKEN in missing["message"]

    cluster.kubectl("-n", namespace, "create", "secret", "generic", TOKEN, "--from-literal=token=any")

    def becomes_ready() -> bool:
        reconciler.reconcile(name)
        return bool(ready(api, namespace, name)["status"] == "True")

    # A missing Secret is asked for with back-off.
    wait_for("the pipeline to be ready", becomes_ready, timeout=30)
    cronjob = api.get(CRONJOBS, namespace, name)
    assert cronjob is not None
    assert cronjob["spec"]["suspend"] is False
