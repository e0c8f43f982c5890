"""Calls of an OpenMetadata server to the gateway, timed."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from benchmarks.admissions import Admissions
from benchmarks.population import on_demand
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.pipeline_service.names import resource_name
from ingestion_operator.ports import PIPELINES
from testcluster.progress import show, step
from testing.server_client import Reply, ServerClient
from testing.waiting import wait_for

_AT_ONCE: Final = 100
_BATCH: Final = 50
"""Pipelines that are measured before all of them are deleted, so that no deletion falls into what is measured."""

_ADMISSION_SECONDS: Final = 30
_REST_SECONDS: Final = 300


class Measuring:
    """Takes the samples beside one number of existing pipelines; each in milliseconds, by what was measured."""

    def __init__(self, port: int, cluster: KubernetesCluster, namespace: str, admissions: Admissions) -> None:
        self._port = port
        self._cluster = cluster
        self._namespace = namespace
        self._admissions = admissions
        self.samples: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    def warm_up(self) -> None:
        """Return when a run that is not measured has been admitted: the operator has nothing else to do then."""
        name, run_id = "warm-up", str(uuid.uuid4())
        with step("  waiting for the operator to come to rest"), self._server() as server:
            self._timed(lambda: server.deploy(on_demand(name)))
            self._timed(lambda: server.trigger(name, {"pipelineRunId": run_id}))
            if self._admissions.wait(run_id, timeout=_REST_SECONDS) is None:
                self.errors.append(f"the operator has not come to rest within {_REST_SECONDS} s")
        self._remove([name])

    def sequential(self, count: int) -> None:
        """Deploy, trigger at once, ask for the status and wait for the admission, so often."""
        begin = time.monotonic()
        for first in range(0, count, _BATCH):
            names = [f"measured-{number}" for number in range(first, min(first + _BATCH, count))]
            with self._server() as server:
                for name in names:
                    self._measure(server, name)
            self._remove(names)
            show(f"  {first + len(names):,} of {count:,} deploys and triggers, {time.monotonic() - begin:.0f} s")

    def at_once(self) -> None:
        """Deploy 100 pipelines at the same moment, as OpenMetadata does after an upgrade."""
        names = [f"at-once-{number}" for number in range(_AT_ONCE)]

        def deploy(name: str) -> float:
            with self._server() as server:
                return self._timed(lambda: server.deploy(on_demand(name)))

        with step(f"  {_AT_ONCE} deploys at once"), ThreadPoolExecutor(_AT_ONCE) as pool:
            self.samples["deploy_100_at_once"] += pool.map(deploy, names)
        self._remove(names)

    def _measure(self, server: ServerClient, name: str) -> None:
        run_id = str(uuid.uuid4())
        self.samples["deploy"].append(deployed := self._timed(lambda: server.deploy(on_demand(name))))
        triggered_at = time.perf_counter()
        triggered = self._timed(lambda: server.trigger(name, {"pipelineRunId": run_id}))
        self.samples["trigger"].append(triggered)
        self.samples["deploy_to_trigger"].append(deployed + triggered)
        admitted_at = self._admissions.wait(run_id, timeout=_ADMISSION_SECONDS)
        if admitted_at is None:
            self.errors.append(f"run {run_id} of {name} was not admitted within {_ADMISSION_SECONDS} s")
        else:
            self.samples["trigger_to_admitted"].append(1000 * (admitted_at - triggered_at))
        self.samples["status"].append(self._timed(lambda: server.read("status", {"dag_id": name})))

    def _remove(self, names: list[str]) -> None:
        with step(f"  deleting {len(names)} pipelines"), ThreadPoolExecutor(8) as pool:
            list(pool.map(self._delete, names))
            for name in names:
                wait_for(f"the end of {name}", lambda name=name: self._is_gone(name), timeout=120)  # type: ignore[misc]

    def _delete(self, name: str) -> None:
        with self._server() as server:
            self._timed(lambda: server.delete(name))

    def _is_gone(self, name: str) -> bool:
        return self._cluster.get(PIPELINES, self._namespace, resource_name(name)) is None

    def _timed(self, call: Callable[[], Reply]) -> float:
        begin = time.perf_counter()
        reply = call()
        took = _milliseconds(begin)
        if reply.code != 200:  # noqa: PLR2004  the contract's only success
            self.errors.append(f"HTTP {reply.code}: {reply.body.decode()[:200]}")
        return took

    @contextmanager
    def _server(self) -> Iterator[ServerClient]:
        server = ServerClient.old(self._port)
        try:
            yield server
        finally:
            server.close()


def _milliseconds(begin: float) -> float:
    return 1000 * (time.perf_counter() - begin)
