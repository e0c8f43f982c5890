"""What a pod reports about its attempt."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import Attempt
from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.k8s.memory import is_quantity, limit_of
from ingestion_operator.runs.jobs import Job, Owner, controller_of, created_at, read_time
from ingestion_operator.runs.outcome import RunnerOutcome, parse_outcome
from ingestion_operator.runs.pod_start_failures import PENDING, SIDECAR_NOT_STARTED, SILENT
from ingestion_operator.runs.retry.memory import OUT_OF_MEMORY

_INTERRUPTED: Final = "Interrupted"
"""The runner's reason for a run that received SIGTERM."""

_EVICTED_BY_KUBELET: Final = "TerminationByKubelet"
_OVER_REQUEST: Final = re.compile(r"Container \S+ was using \S+, request is \S+")
"""What the kubelet adds to the message of an eviction for each container that used more than it requested."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a run: its owner, and what it reports about its attempt."""

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
    """Why Kubernetes ended the pod without the Job counting a failure (drain, preemption, eviction); empty if not."""
    status_message: str
    """The kubelet's message about a pod that it ended."""
    outcome: RunnerOutcome | None
    waiting_reason: str
    waiting_message: str
    lost_since: datetime | None = None
    """Since when its node is unreachable: Kubernetes takes the condition Ready from it then, without a reason."""

    @property
    def attempt(self) -> Attempt:
        """The pod as a run's record has it. Made on demand: as a model it is as large as the rest of the record."""
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
        """Whether the kubelet evicted it since its node ran short and it used more than it requested."""
        return self.disruption == _EVICTED_BY_KUBELET and _OVER_REQUEST.search(self.status_message) is not None

    @property
    def is_disrupted_by_others(self) -> bool:
        """Whether the pod ends for a cause that is not its own: the run is repeated without using up a retry."""
        return self.is_disrupted and not self.is_over_request

    @property
    def is_reachable(self) -> bool:
        """Whether its node reports its status."""
        return self.lost_since is None

    @property
    def is_ending(self) -> bool:
        """Whether a container that is asked to end may still report how it did."""
        return self.is_running and self.is_reachable

    @property
    def has_succeeded(self) -> bool:
        """Whether the runner reported itself that its work was done."""
        is_success = self.outcome is not None and self.outcome.state in ("success", "partialSuccess")
        return is_success and self.exit_code == 0

    @property
    def has_ended_by_itself(self) -> bool:
        """Whether the runner reported how the run ended, and not that it was asked to stop."""
        return self.outcome is not None and self.outcome.reason != _INTERRUPTED

    @property
    def age(self) -> tuple[datetime, str]:
        """What pods are sorted by, the oldest first."""
        return self.created, self.name


def own_pods(pods: Iterable[Pod], job: Job) -> list[Pod]:
    """Return the pods that belong to a Job, oldest first."""
    return sorted((pod for pod in pods if pod.owner is not None and pod.owner.uid == job.uid), key=lambda pod: pod.age)


def count_leftovers(jobs: Iterable[Job], pods: Iterable[Pod]) -> int:
    """Return how many runs have a running container, on a reachable node, though their Job is gone."""
    known = {job.uid for job in jobs}
    owners = {pod.owner.uid for pod in pods if pod.is_ending and pod.owner is not None}
    return len(owners - known)


def read_pod(pod: Mapping[str, Any]) -> Pod:
    """Return the record of a pod as the API server returned it."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    labels = metadata.get("labels") or {}
    containers: list[Body] = status.get("containerStatuses") or []
    container = next((c for c in containers if c.get("name") == RUNNER_CONTAINER), {})
    state = container.get("state") or {}
    terminated, running = state.get("terminated"), state.get("running")
    phase = status.get("phase")
    outcome = parse_outcome(terminated.get("message")) if terminated else None
    reason, message = _waiting(pod, state)
    run_id = (metadata.get("annotations") or {}).get(constants.ANNOTATION_RUN_ID) or labels.get(constants.LABEL_JOB_UID)
    return Pod(
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata.get("resourceVersion", ""),
        created=created_at(metadata),
        is_deleting=bool(metadata.get("deletionTimestamp")),
        owner=controller_of(metadata),
        pipeline=intern(labels.get(constants.LABEL_PIPELINE, "")),
        run_id=str(run_id or "")[: constants.RUN_ID_LIMIT],
        node=_interned((pod.get("spec") or {}).get("nodeName")),
        start_time=read_time((terminated or running or {}).get("startedAt")),
        end_time=read_time((terminated or {}).get("finishedAt")),
        exit_code=terminated.get("exitCode") if terminated else None,
        reason=_interned(_end_reason(status, terminated, outcome)),
        memory=_interned(_memory(pod)),
        is_running=running is not None,
        is_finished=terminated is not None or phase in ("Succeeded", "Failed"),
        disruption=_disruption(status),
        status_message=str(status.get("message") or ""),
        outcome=outcome,
        waiting_reason=reason,
        waiting_message=message,
        lost_since=_lost_since(status),
    )


def _interned(text: str | None) -> str | None:
    return intern(text) if text is not None else None


def _disruption(status: Body) -> str:
    disruption = _condition(status, "DisruptionTarget")
    return intern(str(disruption.get("reason") or "DisruptionTarget")[:64]) if disruption else ""


def _lost_since(status: Body) -> datetime | None:
    ready = _condition(status, "Ready", "False")
    # The kubelet gives a reason with it, as for a sidecar that is not ready.
    return read_time(ready.get("lastTransitionTime")) if not ready.get("reason") else None


def _end_reason(status: Body, terminated: Body | None, outcome: RunnerOutcome | None) -> str | None:
    """Return why the attempt ended: what the kubelet did to the pod, else the kernel, else the runner's reason."""
    if status.get("reason"):
        return str(status["reason"])[:64]  # Evicted, DeadlineExceeded, NodeLost, Preempting
    if disruption := _disruption(status):
        return disruption
    if terminated is None:
        return None
    if terminated.get("reason") == "OOMKilled":
        return OUT_OF_MEMORY
    if outcome is not None:
        return outcome.reason
    return "Completed" if terminated.get("exitCode") == 0 else str(terminated.get("reason", "Error"))[:64]


def _memory(pod: Mapping[str, Any]) -> str | None:
    limit = limit_of(pod.get("spec") or {})
    return limit if limit is not None and is_quantity(limit) else None


def _waiting(pod: Mapping[str, Any], state: Body) -> tuple[str, str]:
    status = pod.get("status") or {}
    if "running" not in state and (of_sidecar := _waiting_sidecar(pod)):
        return of_sidecar
    if waiting := state.get("waiting"):
        return str(waiting.get("reason", PENDING)), str(waiting.get("message", ""))
    scheduled = _condition(status, "PodScheduled", "False")
    if scheduled:
        return str(scheduled.get("reason", "Unschedulable")), str(scheduled.get("message", ""))
    return PENDING, ""


def _waiting_sidecar(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why the first sidecar that is not up waits; None if all are up, or if its status has no cause."""
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


def _condition(status: Body, kind: str, value: str = "True") -> Body:
    for condition in status.get("conditions", []):
        if condition.get("type") == kind and condition.get("status") == value:
            return dict(condition)
    return {}
