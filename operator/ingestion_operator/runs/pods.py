"""What a pod says about its attempt."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.memory_sizes import is_quantity, limit_of
from ingestion_operator.models.status import Attempt
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.runs.causes import PENDING, SIDECAR_NOT_STARTED, SILENT
from ingestion_operator.runs.memory import OUT_OF_MEMORY
from ingestion_operator.runs.outcome import RunnerOutcome, parse_outcome

_INTERRUPTED: Final = "Interrupted"
"""The runner's word for a run that was asked to stop."""


@dataclass(frozen=True)
class PodAttempt:
    """One attempt with what the pod told about it."""

    attempt: Attempt
    is_running: bool
    is_finished: bool
    is_disrupted: bool
    """The pod was drained, preempted or the like, which the Job does not count as a failure."""
    outcome: RunnerOutcome | None
    waiting_reason: str
    waiting_message: str
    lost_since: datetime | None = None
    """Since when its node tells nothing about it: Kubernetes takes the condition Ready from it then, without a word."""

    @property
    def is_reachable(self) -> bool:
        """Tell whether its node is heard of."""
        return self.lost_since is None

    @property
    def is_ending(self) -> bool:
        """Tell whether a container that is asked to end may still say how it did."""
        return self.is_running and self.is_reachable

    @property
    def has_succeeded(self) -> bool:
        """Tell whether the runner said itself that its work was done."""
        is_success = self.outcome is not None and self.outcome.state in ("success", "partialSuccess")
        return is_success and self.attempt.exit_code == 0

    @property
    def has_ended_by_itself(self) -> bool:
        """Tell whether the runner said how the run ended, and not that somebody asked it to stop."""
        return self.outcome is not None and self.outcome.reason != _INTERRUPTED


def own_pods(pods: Iterable[dict[str, Any]], job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pods that belong to a Job, oldest first."""
    uid = job["metadata"]["uid"]
    own = (pod for pod in pods if any(owner["uid"] == uid for owner in _owners(pod)))
    return sorted(own, key=creation)


def count_leftovers(jobs: Iterable[dict[str, Any]], pods: Iterable[dict[str, Any]]) -> int:
    """Return how many runs have a container that works, on a node that is heard of, though their Job is gone."""
    known = {job["metadata"]["uid"] for job in jobs}
    owners = {owner["uid"] for pod in pods if read_pod(pod).is_ending for owner in _owners(pod)}
    return len(owners - known)


def _owners(pod: dict[str, Any]) -> list[dict[str, Any]]:
    owners: list[dict[str, Any]] = pod["metadata"].get("ownerReferences", [])
    return owners


def creation(body: dict[str, Any]) -> tuple[str, str]:
    """Return what pods and Jobs are sorted by, so that the oldest is the first."""
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def read_pod(pod: dict[str, Any]) -> PodAttempt:
    """Return the attempt that a pod is."""
    status = pod.get("status", {})
    containers: list[dict[str, Any]] = status.get("containerStatuses", [])
    container = next((c for c in containers if c.get("name") == RUNNER_CONTAINER), {})
    state = container.get("state", {})
    terminated, running = state.get("terminated"), state.get("running")
    phase = status.get("phase")
    outcome = parse_outcome(terminated.get("message")) if terminated else None
    reason, message = _waiting(pod, state)
    return PodAttempt(
        attempt=Attempt(
            pod=pod["metadata"]["name"],
            node=pod.get("spec", {}).get("nodeName"),
            start_time=parse_timestamp((terminated or running or {}).get("startedAt")),
            end_time=parse_timestamp((terminated or {}).get("finishedAt")),
            exit_code=terminated.get("exitCode") if terminated else None,
            reason=_end_reason(status, terminated, outcome),
            memory=_memory(pod),
        ),
        is_running=running is not None,
        is_finished=terminated is not None or phase in ("Succeeded", "Failed"),
        is_disrupted=bool(_condition(status, "DisruptionTarget")),
        outcome=outcome,
        waiting_reason=reason,
        waiting_message=message,
        lost_since=_lost_since(status),
    )


def _lost_since(status: dict[str, Any]) -> datetime | None:
    ready = _condition(status, "Ready", "False")
    # The kubelet gives a reason with it, as for a sidecar that is not ready.
    return parse_timestamp(ready.get("lastTransitionTime")) if not ready.get("reason") else None


def _end_reason(status: dict[str, Any], terminated: dict[str, Any] | None, outcome: RunnerOutcome | None) -> str | None:
    """Return why the attempt ended: what the kubelet did to the pod, else the kernel, else the runner's word."""
    if status.get("reason"):
        return str(status["reason"])[:64]  # Evicted, DeadlineExceeded, NodeLost, Preempting
    if disruption := _condition(status, "DisruptionTarget"):
        return str(disruption.get("reason", "DisruptionTarget"))[:64]
    if terminated is None:
        return None
    if terminated.get("reason") == "OOMKilled":
        return OUT_OF_MEMORY
    if outcome is not None:
        return outcome.reason
    return "Completed" if terminated.get("exitCode") == 0 else str(terminated.get("reason", "Error"))[:64]


def _memory(pod: dict[str, Any]) -> str | None:
    limit = limit_of(pod.get("spec", {}))
    return limit if limit is not None and is_quantity(limit) else None


def _waiting(pod: dict[str, Any], state: dict[str, Any]) -> tuple[str, str]:
    status = pod.get("status", {})
    if "running" not in state and (of_sidecar := _waiting_sidecar(pod)):
        return of_sidecar
    if waiting := state.get("waiting"):
        return str(waiting.get("reason", PENDING)), str(waiting.get("message", ""))
    scheduled = _condition(status, "PodScheduled", "False")
    if scheduled:
        return str(scheduled.get("reason", "Unschedulable")), str(scheduled.get("message", ""))
    return PENDING, ""


def _waiting_sidecar(pod: dict[str, Any]) -> tuple[str, str] | None:
    """Return why the first sidecar that is not up is not; None if all are, or if nothing is said of it."""
    containers = pod.get("spec", {}).get("initContainers", [])
    sidecars = {container["name"] for container in containers if container.get("restartPolicy") == "Always"}
    for container in pod.get("status", {}).get("initContainerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            reason = str(waiting.get("reason", PENDING))
            return None if reason in SILENT else (reason, str(waiting.get("message", "")))
        if "running" in state and container["name"] in sidecars and not container.get("started"):
            return SIDECAR_NOT_STARTED, str(container["name"])
    return None


def _condition(status: dict[str, Any], kind: str, value: str = "True") -> dict[str, Any]:
    for condition in status.get("conditions", []):
        if condition.get("type") == kind and condition.get("status") == value:
            return dict(condition)
    return {}
