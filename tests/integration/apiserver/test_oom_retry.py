"""The writes of memory steps against a real API server and its Job controller; no node takes the pods.

The test takes the part of the kubelet: it writes what became of a pod that no node has.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.status import Run
from ingestion_operator.errors import Conflict
from ingestion_operator.k8s.memory import memory_limit_of
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import read_job
from ingestion_operator.runs.stopping import stop
from testcluster.errors import CommandError
from testcluster.handle import Cluster
from testing.fake_sink import FakeSink, reporter_over
from testing.live_reconciling import LiveReconciling
from testing.objects import Body, manifest, settings
from testing.waiting import wait_for

NO_NODE = {"nodeSelector": {"ingestion.openmetadata.org/no-node": "has-this"}}
_TRIES: Final = 5
RESOURCES = {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}


class Environment:
    """One pipeline with one run, the operator, and what a kubelet would write."""

    def __init__(self, api: KubernetesCluster, namespace: str, name: str, *, retries: int = 0) -> None:
        self.api, self.namespace, self.name = api, namespace, name
        reporter = reporter_over(api, FakeSink(), settings, SystemClock())
        self._reconciler = LiveReconciling(api, namespace, settings, SystemClock(), reporter)
        body = manifest(
            name,
            namespace,
            retry={"limit": retries, "onOutOfMemory": {"memoryFactor": 8, "maxMemory": "1Gi"}},
            podTemplate={"spec": NO_NODE, "container": {"resources": RESOURCES}},
            schedule=None,
        )
        api.apply(PIPELINES, body, field_manager="test")
        self.reconcile()
        cronjob = api.get(CRONJOBS, namespace, name)
        assert cronjob is not None
        template = cronjob["spec"]["jobTemplate"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": cronjob["metadata"]["uid"]}
        metadata = template["metadata"] | {"name": f"{name}-1", "namespace": namespace}
        metadata["ownerReferences"] = [owner | {"controller": True, "blockOwnerDeletion": True}]
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
        self.run_id = read_job(api.create(JOBS, job)).run_id

    def reconcile(self) -> None:
        """Reconcile as the queue does: again where the Job controller was quicker."""
        for _ in range(_TRIES):
            with suppress(Conflict):
                self._reconciler.reconcile(self.name)
                return
        raise AssertionError(f"{_TRIES} reconciles in a row met another change")

    def jobs(self) -> list[Body]:
        found = self.api.list(JOBS, self.namespace, {constants.LABEL_PIPELINE: self.name})
        return sorted(found, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def is_stopped(self, name: str) -> bool:
        """Ask a Job to end; return whether that is written. The Job controller may write it at the same moment."""
        action = stop(read_job(self.api.get(JOBS, self.namespace, name) or {}), "a person", SystemClock().now())
        with suppress(Conflict):
            if action is not None:
                self.api.merge_patch(JOBS, self.namespace, name, action.patch)
        return action is None

    @property
    def run(self) -> Run:
        body = self.api.get(PIPELINES, self.namespace, self.name)
        assert body is not None
        (run,) = parse_status(body).runs
        return run

    def pod(self) -> Body:
        """Wait for the pod of the next attempt; the operator reconciles meanwhile."""

        def waiting() -> Body | None:
            self.reconcile()
            found = self.api.list(PODS, self.namespace, {constants.LABEL_PIPELINE: self.name})
            return next((pod for pod in found if pod["status"].get("phase") == "Pending"), None)

        return wait_for("the pod of the next attempt", waiting, timeout=60)

    def end(self, pod: Body, exit_code: int, reason: str) -> None:
        times = {"startedAt": pod["metadata"]["creationTimestamp"], "finishedAt": pod["metadata"]["creationTimestamp"]}
        container = {
            "name": constants.RUNNER_CONTAINER,
            "image": "x",
            "imageID": "x",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": {"exitCode": exit_code, "reason": reason, **times}},
        }
        status = {"phase": "Failed" if exit_code else "Succeeded", "containerStatuses": [container]}
        self.api.merge_patch(PODS, self.namespace, pod["metadata"]["name"], {"status": status}, subresource="status")

    def wait_for_the_jobs_end(self, condition: str, reason: str) -> None:
        def ended() -> bool:
            self.reconcile()
            conditions = self.jobs()[-1]["status"].get("conditions", [])
            return any((c["type"], c.get("reason")) == (condition, reason) for c in conditions)

        wait_for("the Job's end", ended, timeout=30)


@pytest.fixture
def environment(api: KubernetesCluster, namespace: str) -> Callable[..., Environment]:
    return lambda name, **more: Environment(api, namespace, name, **more)


def test_the_same_job_is_suspended_gets_more_memory_and_goes_on(environment: Callable[..., Environment]) -> None:
    found = environment("growing")
    pod = found.pod()
    assert memory_limit_of(pod["spec"]) == "64Mi"
    found.end(pod, 137, "OOMKilled")
    found.reconcile()
    assert (found.run.state, found.run.reason) == ("running", "OutOfMemory")
    pod = found.pod()
    assert memory_limit_of(pod["spec"]) == "512Mi"
    (job,) = found.jobs()
    assert constants.ANNOTATION_NEXT_MEMORY_LIMIT not in job["metadata"]["annotations"]
    found.end(pod, 0, "Completed")
    found.reconcile()
    assert (found.run.id, found.run.state) == (found.run_id, "success")
    assert [a.memory for a in found.run.attempts] == ["64Mi", "512Mi"]
    assert job["metadata"]["uid"] == found.run_id


def test_a_run_that_fails_otherwise_ends_at_once(
    environment: Callable[..., Environment],
) -> None:
    found = environment("failing")
    found.end(found.pod(), 1, "Error")
    found.reconcile()
    assert (found.run.state, found.run.reason) == ("failed", "Error")
    found.wait_for_the_jobs_end("Failed", "BackoffLimitExceeded")
    assert len(found.api.list(PODS, found.namespace, {constants.LABEL_PIPELINE: "failing"})) == 1


def test_a_run_killed_between_two_sizes_gets_no_further_pod(
    environment: Callable[..., Environment],
) -> None:
    found = environment("killed")
    found.end(found.pod(), 137, "OOMKilled")
    found.reconcile()
    (job,) = found.jobs()
    assert job["spec"]["suspend"] is True
    wait_for("the stop to be written", lambda: found.is_stopped(job["metadata"]["name"]), timeout=30)
    found.reconcile()
    assert (found.run.state, found.run.message) == ("stopped", "Stopped on request of a person")
    found.wait_for_the_jobs_end("Failed", "BackoffLimitExceeded")
    assert found.run.state == "stopped"
    assert len(found.api.list(PODS, found.namespace, {constants.LABEL_PIPELINE: "killed"})) == 1


@pytest.fixture
def immutable(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A pipeline whose Jobs are guarded as Kubernetes before 1.36 does: their templates never change."""
    name = "immutable"
    labels = {"matchLabels": {constants.LABEL_PIPELINE: name}}
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["UPDATE"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "objectSelector": labels},
            "validations": [
                {"expression": "object.spec.template == oldObject.spec.template", "message": "field is immutable"},
                {"expression": "!('probe' in object.metadata.annotations)", "message": "the policy is in force"},
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }
    for body in (policy, binding):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    yield name
    for body in (binding, policy):
        cluster.kubectl("delete", str(body["kind"]), namespace, "--ignore-not-found")


def test_with_an_immutable_template_another_job_continues(
    cluster: Cluster, environment: Callable[..., Environment], immutable: str
) -> None:
    found = environment(immutable, retries=1)
    wait_for("the policy", lambda: _is_in_force(cluster, found.namespace, f"{immutable}-1"), timeout=30)
    found.end(found.pod(), 137, "OOMKilled")
    pod = found.pod()
    assert memory_limit_of(pod["spec"]) == "512Mi"
    assert pod["metadata"]["annotations"][constants.ANNOTATION_RUN_ID] == found.run_id
    found.reconcile()
    old, new = found.jobs()
    assert old["metadata"]["annotations"][constants.ANNOTATION_REPLACED_BY] == new["metadata"]["name"]
    assert new["metadata"]["ownerReferences"][0]["uid"] == old["metadata"]["ownerReferences"][0]["uid"]
    assert (found.run.id, found.run.job) == (found.run_id, new["metadata"]["name"])
    found.end(pod, 0, "Completed")
    found.reconcile()
    found.reconcile()
    wait_for("the first Job to go", lambda: len(found.jobs()) == 1, timeout=30)
    found.reconcile()
    assert (found.run.id, found.run.state) == (found.run_id, "success")
    assert [a.memory for a in found.run.attempts] == ["64Mi", "512Mi"]


def _is_in_force(cluster: Cluster, namespace: str, job: str) -> bool:
    try:
        cluster.kubectl("-n", namespace, "annotate", "job", job, "--dry-run=server", "probe=1")
    except CommandError as error:
        return "the policy is in force" in str(error)
    return False
