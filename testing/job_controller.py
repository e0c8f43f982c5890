"""Kubernetes' Job controller and kubelet, as far as the repetition of a run goes, over an API server in memory.

They do one thing at a time, when a test calls them. What they do was measured on a real cluster: pods that are
deleted since their Job is suspended count as no failures; failures beyond backoffLimit end the Job before it makes
another pod, also in the moment in which it is resumed.
"""

import itertools
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Invalid, Unavailable
from ingestion_operator.ports import JOBS, PODS, Kind
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.objects import NAMESPACE, Body, at

_BACKOFF_SECONDS: Final = 10


class JobCluster(FakeCluster):
    """An API server that guards the template of a Job, and of which a write may fail."""

    def __init__(self, clock: FakeClock, *, grows: bool = True) -> None:
        super().__init__(clock)
        self.grows = grows
        """Whether a suspended Job's resources may be changed (Kubernetes >= 1.36)."""
        self.crash_at: int | None = None
        """Which write fails, counted from 0; the process is then taken to have ended."""
        self.crash_after = False
        """Whether it fails once it has had its effect."""
        self._written = 0

    def merge_patch(self, kind: Kind, namespace: str, name: str, patch: Body, **more: Any) -> Body:
        live = self.get(kind, namespace, name) if kind is JOBS and "template" in patch.get("spec", {}) else None
        if live is not None and not (self.grows and _is_idle(live)):
            raise Invalid(f"PATCH jobs/{name}: HTTP 422: spec.template: field is immutable", code=422)
        return super().merge_patch(kind, namespace, name, patch, **more)

    def _call(self, call: Call, effect: Any) -> Any:
        if call.verb not in ("create", "apply", "merge_patch", "delete"):
            return super()._call(call, effect)
        self._written += 1
        if self._written - 1 != self.crash_at:
            return super()._call(call, effect)
        if self.crash_after:
            super()._call(call, effect)
        raise Unavailable("the operator has ended", code=0)


class JobController:
    """Works on all Jobs of a cluster."""

    def __init__(self, cluster: JobCluster, clock: FakeClock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._numbers = itertools.count(1)
        self.most_active = 0
        """Most pods that were there at once, over all Jobs."""

    def start(self, cronjob: Body, name: str) -> Body:
        """Create a Job as the CronJob controller does."""
        template = cronjob["spec"]["jobTemplate"]
        owner = {"kind": "CronJob", "name": cronjob["metadata"]["name"], "uid": cronjob["metadata"]["uid"]}
        metadata = template["metadata"] | {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": template["metadata"]["annotations"] | {constants.ANNOTATION_SCHEDULED_AT: at()},
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        }
        return self._cluster.put(JOBS, {"metadata": metadata, "spec": template["spec"], "status": {}})

    def sync(self) -> None:
        """Let the Job controller reconcile every Job once; the pauses between attempts have passed."""
        self._clock.forward(seconds=_BACKOFF_SECONDS)
        for body in self._cluster.all(JOBS):
            job = {"status": {}, **body}
            if not any(c["type"] in ("Complete", "Failed") for c in job["status"].get("conditions", [])):
                status = self._sync(job)
                if status != job["status"]:
                    self._cluster.put(JOBS, job | {"status": status})
        self.most_active = max(self.most_active, len(self.active()))

    def active(self) -> list[Body]:
        """The pods that have not ended."""
        return [pod for pod in self._cluster.all(PODS) if pod["status"]["phase"] in ("Pending", "Running")]

    def run(self) -> list[str]:
        """Let every pod's container start; return their memory limits."""
        for pod in self.active():
            state = {"running": {"startedAt": self._now()}}
            self._set(pod, "Running", state)
        return [pod["spec"]["containers"][0]["resources"]["limits"]["memory"] for pod in self.active()]

    def end(self, exit_code: int, *, reason: str = "Error", message: str = "") -> None:
        """Let every pod's container end."""
        for pod in self.active():
            times = {"startedAt": pod["metadata"]["creationTimestamp"], "finishedAt": self._now()}
            ended = {"terminated": {"exitCode": exit_code, "reason": reason, "message": message} | times}
            self._set(pod, "Failed" if exit_code else "Succeeded", ended)

    def run_out_of_memory(self) -> None:
        """Let the kernel kill every container."""
        self.end(137, reason="OOMKilled")

    def _sync(self, job: Body) -> Body:
        uid, spec, status = job["metadata"]["uid"], job["spec"], job["status"]
        pods = [p for p in self._cluster.all(PODS) if p["metadata"]["ownerReferences"][0]["uid"] == uid]
        active = [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        failed = sum(pod["status"]["phase"] == "Failed" for pod in pods)
        status = {**status, "failed": failed, "active": len(active)}
        if any(pod["status"]["phase"] == "Succeeded" for pod in pods):
            return self._with(status, "Complete", "")
        if failed > spec["backoffLimit"]:
            return self._with(self._without(status, active), "Failed", "BackoffLimitExceeded")
        if spec.get("suspend"):
            return self._with(self._without(status, active), "Suspended", "JobSuspended")
        status["conditions"] = [c for c in status.get("conditions", []) if c["type"] != "Suspended"]
        if spec.get("activeDeadlineSeconds") == 1:
            return self._with(self._without(status, active), "Failed", "DeadlineExceeded")
        if not active:
            self._create_pod(job)
            status["active"] = 1
        return status

    def _create_pod(self, job: Body) -> None:
        metadata = job["metadata"]
        self._cluster.put(
            PODS,
            {
                "metadata": {
                    "name": f"{metadata['name']}-{next(self._numbers):02}",
                    "namespace": NAMESPACE,
                    "labels": job["spec"]["template"]["metadata"]["labels"],
                    "annotations": job["spec"]["template"]["metadata"]["annotations"],
                    "ownerReferences": [
                        {"kind": "Job", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
                    ],
                },
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Pending"},
            },
        )

    def _without(self, status: Body, pods: list[Body]) -> Body:
        for pod in pods:
            self._cluster.delete(PODS, NAMESPACE, pod["metadata"]["name"])
        return {**status, "active": 0}

    def _with(self, status: Body, condition: str, reason: str) -> Body:
        found = {"type": condition, "status": "True", "reason": reason, "lastTransitionTime": self._now()}
        others = [c for c in status.get("conditions", []) if c["type"] != condition]
        return {**status, "conditions": [*others, found]}

    def _set(self, pod: Body, phase: str, state: Body) -> None:
        containers = [{"name": constants.RUNNER_CONTAINER, "state": state}]
        self._cluster.put(PODS, pod | {"status": {"phase": phase, "containerStatuses": containers}})

    def _now(self) -> str:
        return f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _is_idle(job: Body) -> bool:
    status = job.get("status", {})
    is_noted = any(c["type"] == "Suspended" for c in status.get("conditions", []))
    return bool(job["spec"].get("suspend")) and is_noted and not status.get("active")
