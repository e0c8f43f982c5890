"""A simulated kubelet for pods that fit no node: each runs for some seconds and succeeds.

It watches instead of listing, so that thousands of pods cost the API server what a kubelet's two writes cost.
"""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from kubernetes import client

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.errors import ClusterError, Conflict, NotFound
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import PODS
from testing.pod_status import ended, running
from testing.watching import WatchThread

_START_SECONDS: Final = (1.0, 3.0)
_RUN_SECONDS: Final = (5.0, 10.0)
"""Long enough apart for each state of a pod to cause its own reconciliation."""

_RETRY_SECONDS: Final = 1.0
_THREADS: Final = 4

Body = dict[str, Any]


@dataclass(order=True)
class _Due:
    """A status that is to be written at a moment of time.monotonic."""

    at: float
    order: int
    write: Callable[[], None] = field(compare=False)


class SimulatedKubelet:
    """Runs the pending pods of a namespace until the block ends."""

    def __init__(self, cluster: KubernetesCluster, watching: client.ApiClient, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._known: set[str] = set()
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._writers = ThreadPoolExecutor(_THREADS, thread_name_prefix="kubelet")
        path = f"/api/v1/namespaces/{namespace}/pods"
        self._watch = WatchThread(watching, path, self._note, fields="status.phase=Pending")
        self._thread = threading.Thread(target=self._write, name="simulated kubelet", daemon=True)
        self.ended = 0
        """How many pods have succeeded."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout=10)
        self._writers.shutdown(cancel_futures=True)

    def _note(self, event: Body) -> None:
        if event["type"] != "DELETED":
            self._take(event["object"])

    def _take(self, pod: Body) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._known:
            return
        self._known.add(uid)
        chance = random.Random(pod["metadata"]["name"])  # noqa: S311  the same seconds each time
        runs_for = chance.uniform(*_RUN_SECONDS)
        self._after(chance.uniform(*_START_SECONDS), lambda: self._start(pod, runs_for))

    def _start(self, pod: Body, runs_for: float) -> None:
        started = _now()
        if self._patch(pod, running(pod, started), lambda: self._start(pod, runs_for)):
            self._after(runs_for, lambda: self._end(pod, started))

    def _end(self, pod: Body, started: str) -> None:
        if self._patch(pod, ended(pod, started, _now(), success=True), lambda: self._end(pod, started)):
            with self._changed:
                self.ended += 1

    def _patch(self, pod: Body, status: Body, again: Callable[[], None]) -> bool:
        """Write a status. Return whether it was written; where the API server fails it is written later."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            self._cluster.merge_patch(PODS, self._namespace, metadata["name"], patch, subresource="status")
        except (NotFound, Conflict):  # the pod is gone, or another one has its name
            return False
        except ClusterError:
            self._after(_RETRY_SECONDS, again)
            return False
        return True

    def _after(self, seconds: float, write: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._due, _Due(time.monotonic() + seconds, next(self._order), write))
            self._changed.notify_all()

    def _write(self) -> None:
        with self._changed:
            while not self._stopped:
                wait = self._due[0].at - time.monotonic() if self._due else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                else:
                    self._writers.submit(heapq.heappop(self._due).write)


def _now() -> str:
    return format_timestamp(datetime.now(UTC))
