"""A kubelet for pods that no node takes: it writes for each that it runs, and after a while how it ended.

The API server, the Job and CronJob controllers and the garbage collector are the real ones.
"""

import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.errors import ClusterError
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import PODS
from testing.pod_status import status
from tests.scenarios.soak.ledger import is_alive

_PAUSE_SECONDS: Final = 0.3
_START_SECONDS: Final = (0.0, 1.5)
_RUN_SECONDS: Final = (0.5, 4.0)


@dataclass(frozen=True)
class End:
    """How a container ends."""

    exit_code: int
    reason: str = "Error"
    outcome: tuple[str, str] | None = None
    """State and reason in the runner's account, None where there is none."""

    def message(self) -> str:
        """Return the termination message; OpenMetadata has no report, so that the operator has to send one."""
        if self.outcome is None:
            return ""
        state, reason = self.outcome
        return json.dumps({"version": 1, "state": state, "reason": reason, "message": "", "reportedBy": "none"})


_ENDS: Final = {
    End(0, "Completed", ("success", "Succeeded")): 60,
    End(0, "Completed", ("partialSuccess", "PartiallySucceeded")): 10,
    End(1, "Error", ("failed", "WorkflowFailed")): 15,
    End(137, "OOMKilled"): 10,
    End(1): 5,
}
"""How often each end comes."""


@dataclass
class _Life:
    starts_at: float
    ends_at: float
    end: End
    started: str = ""


class SimulatedKubelet:
    """Runs until the block ends; what becomes of a pod is decided by its name and a seed."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, seed: int) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._seed = seed
        self._lives: dict[str, _Life] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated kubelet", daemon=True)
        self.ended = 0
        """How many containers have come to their end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            try:
                pods = self._cluster.list(PODS, self._namespace, {})
            except ClusterError:
                continue
            alive = {pod["metadata"]["uid"]: pod for pod in pods if is_alive(pod)}
            self._lives = {uid: self._lives.get(uid) or self._life(pod) for uid, pod in alive.items()}
            for uid, pod in alive.items():
                try:
                    self._advance(pod, self._lives[uid])
                except ClusterError:
                    continue  # deleted meanwhile, or to be tried again

    def _life(self, pod: dict[str, Any]) -> _Life:
        chance = random.Random(f"{self._seed} {pod['metadata']['name']}")  # noqa: S311  a seed is what it is for
        starts_at = time.monotonic() + chance.uniform(*_START_SECONDS)
        (end,) = chance.choices(list(_ENDS), weights=list(_ENDS.values()))
        return _Life(starts_at, starts_at + chance.uniform(*_RUN_SECONDS), end)

    def _advance(self, pod: dict[str, Any], life: _Life) -> None:
        now = time.monotonic()
        if life.started and now >= life.ends_at:
            end = life.end
            times = {"startedAt": life.started, "finishedAt": _now()}
            state = {"exitCode": end.exit_code, "reason": end.reason, "message": end.message(), **times}
            self._write_status(pod, "Failed" if end.exit_code else "Succeeded", {"terminated": state})
            self.ended += 1
        elif not life.started and now >= life.starts_at:
            started = _now()
            self._write_status(pod, "Running", {"running": {"startedAt": started}})
            life.started = started

    def _write_status(self, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        found = status(pod, phase, metadata["creationTimestamp"], state)
        patch = {"metadata": {"uid": metadata["uid"]}, "status": found}
        self._cluster.merge_patch(PODS, self._namespace, metadata["name"], patch, subresource="status")


def _now() -> str:
    return format_timestamp(datetime.now(UTC))
