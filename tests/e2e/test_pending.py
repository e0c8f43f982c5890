"""Runs whose pods never start, at an installation of their own, where that has a short bound."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from testcluster.handle import Cluster
from testing import installation as installations
from testing import release
from testing.installation import SERVICE, Credentials, Installation, open_installation, remove
from testing.waiting import wait_for

NAMESPACE = "e2e-pending"
LIMIT = "25s"
DEVICE = "example.com/device"


@pytest.fixture(scope="module")
def impatient(cluster: Cluster, built: dict[str, str]) -> Iterator[Installation]:
    """An installation that gives a pod little time to start, by a second release."""
    remove(cluster, NAMESPACE)
    second = partial(release.install, first=False)
    with open_installation(cluster, NAMESPACE, built, Credentials.random(), second, startTimeout=LIMIT) as opened:
        yield opened
    remove(cluster, NAMESPACE)


def container(**fields: Any) -> dict[str, Any]:
    return {"container": fields}


MISSING_SECRET = {
    "spec": {"volumes": [{"name": "extra", "secret": {"secretName": "never-created"}}]},
    "container": {"volumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": True}]},
}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-devices"},
    "spec": {"hard": {f"requests.{DEVICE}": "0"}},
}
CASES = {
    "no-image": (container(image="localhost/never-built:1"), "ImagePullBackOff", "its image cannot be pulled"),
    "no-secret": (MISSING_SECRET, "SecretNotFound", "Secret never-created does not exist: create it"),
    "no-node": ({"spec": {"nodeSelector": {"no-node": "has-it"}}}, "Unschedulable", "no node is suitable"),
    "no-quota": (
        container(resources={"requests": {DEVICE: "1"}, "limits": {DEVICE: "1"}}), "QuotaExceeded", "no-devices",
    ),
}  # fmt: skip


def test_runs_that_cannot_start_show_why_and_fail_at_the_limit(impatient: Installation) -> None:
    impatient.apply(QUOTA)
    for name, (template, _, _) in CASES.items():
        impatient.fake_server.register_pipeline(f"{SERVICE}.{name}")
        impatient.apply(installations.pipeline(name, podTemplate=template))
    ids = {name: impatient.start_run(name, f"{name}-1") for name in CASES}
    for name, (_, reason, words) in CASES.items():
        explained = partial(_explained, impatient, name, ids[name], reason)
        waiting = wait_for(f"the cause of {name}", explained, timeout=60)
        assert words in waiting["message"]
    for name, (_, reason, words) in CASES.items():
        run = impatient.wait_for_end(name, ids[name], timeout=90)
        assert (run["state"], run["reason"]) == ("failed", reason)
        assert run["message"].startswith("No pod of the run started within 25 seconds. ")
        assert words in run["message"]
        row = impatient.fake_server.wait_for_run(f"{SERVICE}.{name}", timeout=15, run_id=ids[name])
        assert row["terminalStates"] == ["failed"]
        assert row["row"]["status"][0]["failures"][0]["name"] == reason
        (job,) = impatient.list("jobs", f"ingestion.openmetadata.org/pipeline={name}")
        assert job["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    wait_for(
        "the pods to be gone", lambda: not impatient.list("pods", "ingestion.openmetadata.org/pipeline"), timeout=45
    )


def _explained(installation: Installation, pipeline: str, run_id: str, reason: str) -> dict[str, Any] | None:
    """Return the record once it names the cause; it may be over already on a machine that is busy."""
    run = installation.run(pipeline, run_id)
    return run if run.get("reason") == reason else None
