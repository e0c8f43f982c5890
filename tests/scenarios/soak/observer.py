"""The independent observer: it reads the API server alone, by watches and lists of its own."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Final, Self

from kubernetes import client

from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.errors import ClusterError
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, SECRETS, Kind
from testing.watching import WatchThread
from tests.scenarios.soak.ledger import WATCHED, Ledger, Run, orphans

LEAK_SECONDS: Final = 60.0
"""How long an object may be there after the last of its owners has gone."""

_SWEEP_SECONDS: Final = 2.0
_TOKENS: Final = ("ingestion-bot", "openmetadata-token-")
_OWNED: Final = (PIPELINES, CRONJOBS, JOBS, PODS, SECRETS)


class Observer:
    """Watches a namespace until the block ends, and writes down what must not be."""

    def __init__(self, connect: Callable[[], client.ApiClient], namespace: str) -> None:
        """Take connections of its own, one for each watch and one for the lists."""
        self._connect = connect
        self._namespace = namespace
        self._cluster = KubernetesCluster(connect())
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._orphaned_since: dict[str, float] = {}
        self._leaked: dict[str, str] = {}
        self._watches = ExitStack()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        for kind in WATCHED:
            self._watches.enter_context(self._watch(kind))
        threading.Thread(target=self._sweep, name="observer of leaks", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()  # the thread is a daemon
        self._watches.close()

    def violations(self) -> list[str]:
        """Return what was seen up to now that must never be."""
        with self._lock:
            leaks = [f"{name} is still there {LEAK_SECONDS:.0f} s after its owner" for name in self._leaked.values()]
            return [*self._ledger.violations, *self._ledger.doubled(), *leaks]

    def unfinished(self, accepted: Iterable[Run]) -> list[str]:
        """Return which runs of pipelines that are there have no end that OpenMetadata received."""
        with self._lock:
            return self._ledger.unfinished(accepted)

    def records(self) -> dict[Run, dict[str, Any]]:
        """Return the last record of each run of the pipelines that are there."""
        with self._lock:
            ledger = self._ledger
            return {run: record for run, record in ledger.records.items() if run[0] in ledger.pipelines}

    def run_ids(self) -> set[str]:
        """Return the ids of all runs that there have been."""
        with self._lock:
            return self._ledger.all_run_ids()

    def left(self) -> list[str]:
        """Return what there is now of pipelines and of what belongs to them; tokens are shared and stay."""
        return [
            f"{kind.kind} {body['metadata']['name']}"
            for kind, bodies in self._objects().items()
            for body in bodies
            if kind is not SECRETS or not body["metadata"]["name"].startswith(_TOKENS)
        ]

    def _watch(self, kind: Kind) -> WatchThread:
        group = "/api" if kind.api_version == "v1" else "/apis"
        path = f"{group}/{kind.api_version}/namespaces/{self._namespace}/{kind.plural}"

        def note(event: dict[str, Any]) -> None:
            with self._lock:
                self._ledger.note(kind, event["type"], event["object"])

        def restart() -> None:
            with self._lock:
                self._ledger.restarted(kind)

        return WatchThread(self._connect(), path, note, on_open=restart)

    def _objects(self) -> dict[Kind, list[dict[str, Any]]]:
        # What belongs to something is listed before its owners: an owner that is gone then was gone before.
        return {kind: self._cluster.list(kind, self._namespace, {}) for kind in reversed(_OWNED)}

    def _sweep(self) -> None:
        while not self._stopped.wait(_SWEEP_SECONDS):
            try:
                found = orphans(self._objects())
            except ClusterError:
                continue
            now = time.monotonic()
            self._orphaned_since = {uid: self._orphaned_since.get(uid, now) for uid in found}
            with self._lock:
                self._leaked |= {
                    uid: found[uid] for uid, since in self._orphaned_since.items() if now - since > LEAK_SECONDS
                }
