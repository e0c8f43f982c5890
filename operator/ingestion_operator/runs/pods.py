"""Pods of runs as records of the fields that decisions need."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import Attempt
from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.k8s.memory import memory_limit_of
from ingestion_operator.k8s.objects import (
    Body,
    Owner,
    annotations_of,
    condition_of,
    controller_of,
    created_at,
    is_deleting,
    labels_of,
)
from ingestion_operator.k8s.quantities import is_quantity
from ingestion_operator.k8s.timestamps import read_time
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.outcome import RunnerOutcome, parse_outcome
from ingestion_operator.runs.pod_start_failures import PENDING, SIDECAR_NOT_STARTED, SILENT
from ingestion_operator.runs.retry.memory import OUT_OF_MEMORY

_INTERRUPTED: Final = "Interrupted"
"""The runner's reason for a run that received SIGTERM."""

_EVICTED_BY_KUBELET: Final = "TerminationByKubelet"
_OVER_REQUEST: Final = re.compile(r"Container \S+ was using \S+, request is \S+")
"""The part of an eviction message that names a container that exceeded its request."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a run and the state of its attempt."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: datetime
    is_deleting: bool
    owner: Owner | None
    pipeline: str
    """The value of the pipeline label: the name of the pipeline's CronJob."""
    run_id: str
    """The caller's run id, else the UID of the Job; empty for a pod that belongs to no run."""
    node: str | None
    start_time: datetime | None
    """When the runner's container started."""
    end_time: datetime | None
    exit_code: int | None
    reason: str | None
    """Why the attempt ended; None before its end."""
    memory: str | None
    """The memory limit of the runner's container."""
    is_running: bool
    is_finished: bool
    disruption: str
    """Why Kubernetes terminated the pod without a counted failure (drain, preemption, eviction); empty if not."""
    status_message: str
    """The kubelet's message about a pod that it terminated."""
    outcome: RunnerOutcome | None
    waiting_reason: str
    waiting_message: str
    lost_since: datetime | None = None
    """Since when its node is unreachable: Kubernetes then sets Ready=False on the pod, without a reason."""

    @property
    def attempt(self) -> Attempt:
        """The attempt in a run's record. Created on demand, since the model takes as much memory as the rest."""
        return Attempt.model_construct(
            pod=self.name,
            node=self.node,
            start_time=self.start_time,
            end_time=self.end_time,
            exit_code=self.exit_code,
            reason=self.reason,
            memory=self.memory,
        )

    @property
    def is_disrupted(self) -> bool:
        """Whether the pod was drained, preempted or evicted, which the Job does not count as a failure."""
        return bool(self.disruption)

    @property
    def is_over_request(self) -> bool:
        """Whether the kubelet evicted it under node pressure for exceeding its requests."""
        return self.disruption == _EVICTED_BY_KUBELET and _OVER_REQUEST.search(self.status_message) is not None

    @property
    def is_disrupted_by_others(self) -> bool:
        """Whether the pod was disrupted for another cause than its usage: the run continues without using a retry."""
        return self.is_disrupted and not self.is_over_request

    @property
    def is_reachable(self) -> bool:
        """Whether its node reports its status."""
        return self.lost_since is None

    @property
    def is_ending(self) -> bool:
        """Whether the container runs on a reachable node, so that it may still report its outcome."""
        return self.is_running and self.is_reachable

    @property
    def has_succeeded(self) -> bool:
        """Whether the runner reported success."""
        is_success = self.outcome is not None and self.outcome.state in ("success", "partialSuccess")
        return is_success and self.exit_code == 0

    @property
    def has_ended_by_itself(self) -> bool:
        """Whether the runner reported an outcome other than an interruption."""
        return self.outcome is not None and self.outcome.reason != _INTERRUPTED

    @property
    def age(self) -> tuple[datetime, str]:
        """Sort key, the oldest first."""
        return self.created, self.name


def own_pods(pods: Iterable[Pod], job: Job) -> list[Pod]:
    """Return the pods that belong to a Job, oldest first."""
    return sorted((pod for pod in pods if pod.owner is not None and pod.owner.uid == job.uid), key=lambda pod: pod.age)


def count_orphans(jobs: Iterable[Job], pods: Iterable[Pod]) -> int:
    """Return the number of runs whose Job is gone but whose container still runs on a reachable node."""
    known = {job.uid for job in jobs}
    owners = {pod.owner.uid for pod in pods if pod.is_ending and pod.owner is not None}
    return len(owners - known)


def read_pod(pod: Mapping[str, Any]) -> Pod:
    """Return the record of a pod."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    labels = labels_of(pod)
    containers: list[Body] = status.get("containerStatuses") or []
    container = next((c for c in containers if c.get("name") == RUNNER_CONTAINER), {})
    state = container.get("state") or {}
    terminated, running = state.get("terminated"), state.get("running")
    phase = status.get("phase")
    outcome = parse_outcome(terminated.get("message")) if terminated else None
    reason, message = _waiting(pod, state)
    run_id = annotations_of(pod).get(constants.ANNOTATION_RUN_ID) or labels.get(constants.LABEL_JOB_UID)
    return Pod(
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata.get("resourceVersion", ""),
        created=created_at(pod),
        is_deleting=is_deleting(pod),
        owner=controller_of(pod),
        pipeline=intern(labels.get(constants.LABEL_PIPELINE, "")),
        run_id=str(run_id or "")[: constants.RUN_ID_LIMIT],
        node=_interned((pod.get("spec") or {}).get("nodeName")),
        start_time=read_time((terminated or running or {}).get("startedAt")),
        end_time=read_time((terminated or {}).get("finishedAt")),
        exit_code=terminated.get("exitCode") if terminated else None,
        reason=_interned(_end_reason(pod, terminated, outcome)),
        memory=_interned(_memory(pod)),
        is_running=running is not None,
        is_finished=terminated is not None or phase in ("Succeeded", "Failed"),
        disruption=_disruption(pod),
        status_message=str(status.get("message") or ""),
        outcome=outcome,
        waiting_reason=reason,
        waiting_message=message,
        lost_since=_lost_since(pod),
    )


def _interned(text: str | None) -> str | None:
    return intern(text) if text is not None else None


def _disruption(pod: Mapping[str, Any]) -> str:
    disruption = condition_of(pod, "DisruptionTarget")
    return intern(str(disruption.get("reason") or "DisruptionTarget")[:64]) if disruption else ""


def _lost_since(pod: Mapping[str, Any]) -> datetime | None:
    ready = condition_of(pod, "Ready", "False")
    # The kubelet sets a reason, for example for a sidecar that is not ready.
    return read_time(ready.get("lastTransitionTime")) if not ready.get("reason") else None


def _end_reason(pod: Mapping[str, Any], terminated: Body | None, outcome: RunnerOutcome | None) -> str | None:
    """Return why the attempt ended: the reason of the kubelet, else of the kernel, else of the runner."""
    if reason := (pod.get("status") or {}).get("reason"):
        return str(reason)[:64]  # Evicted, DeadlineExceeded, NodeLost, Preempting
    if disruption := _disruption(pod):
        return disruption
    if terminated is None:
        return None
    if terminated.get("reason") == "OOMKilled":
        return OUT_OF_MEMORY
    if outcome is not None:
        return outcome.reason
    return "Completed" if terminated.get("exitCode") == 0 else str(terminated.get("reason", "Error"))[:64]


def _memory(pod: Mapping[str, Any]) -> str | None:
    limit = memory_limit_of(pod.get("spec") or {})
    return limit if limit is not None and is_quantity(limit) else None


def _waiting(pod: Mapping[str, Any], state: Body) -> tuple[str, str]:
    if "running" not in state and (of_sidecar := _waiting_sidecar(pod)):
        return of_sidecar
    if waiting := state.get("waiting"):
        return str(waiting.get("reason", PENDING)), str(waiting.get("message", ""))
    scheduled = condition_of(pod, "PodScheduled", "False")
    if scheduled:
        return str(scheduled.get("reason", "Unschedulable")), str(scheduled.get("message", ""))
    return PENDING, ""


def _waiting_sidecar(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why the first waiting sidecar does not start; None if all run, or if its status has no cause."""
    containers = (pod.get("spec") or {}).get("initContainers", [])
    sidecars = {container["name"] for container in containers if container.get("restartPolicy") == "Always"}
    for container in (pod.get("status") or {}).get("initContainerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            reason = str(waiting.get("reason", PENDING))
            return None if reason in SILENT else (reason, str(waiting.get("message", "")))
        if "running" in state and container["name"] in sidecars and not container.get("started"):
            return SIDECAR_NOT_STARTED, str(container["name"])
    return None
