"""The gateway beside the pipelines: what its calls take, as an OpenMetadata server makes them.

The contract has no call that lists pipelines; what depends on their number is a deploy of a new name, which looks
whether somebody has applied a pipeline of that name.
"""

import random
import time
from collections.abc import Callable
from typing import Final

from benchmarks.figures import percentile
from benchmarks.scale.pipelines import name
from benchmarks.scale.process import resident_mib
from benchmarks.scale.scene import Scene
from benchmarks.scale.timeline import Timeline
from tests.support.entities import airflow, entity
from tests.support.gateway import write_credentials
from tests.support.gateway_process import start_gateway, write_account_kubeconfig
from tests.support.server_client import Reply, ServerClient

_CALLS: Final = {"status": 100, "deploy": 50, "trigger": 50}
_SEED: Final = 8


class GatewayCalls:
    """Takes the gateway's figures."""

    def __init__(self, scene: Scene, size: int, timeline: Timeline) -> None:
        self._scene = scene
        self._size = size
        self._timeline = timeline
        self._random = random.Random(_SEED)  # noqa: S311  which pipelines are asked for, the same ones each time
        self.figures: dict[str, float] = {}
        self.samples: dict[str, list[float]] = {}
        self.problems: list[str] = []
        self.kubeconfig = write_account_kubeconfig(scene.bed, scene.namespace, scene.folder / "gateway-kubeconfig")
        self.credentials = write_credentials(scene.folder / "credentials", plain=("admin", "secret"))

    def measure(self) -> None:
        """Start a gateway, ask for statuses, deploy new pipelines on demand, and trigger them."""
        scene = self._scene
        new = [f"deployed-{number}" for number in range(_CALLS["deploy"])]
        with start_gateway(
            scene.folder,
            kubeconfig=self.kubeconfig,
            namespace=scene.namespace,
            settings=scene.settings_path,
            credentials=self.credentials,
        ) as gateway:
            server = ServerClient.old(gateway.port)
            try:
                with self._timeline.sampling("gateway", gateway.process.pid):
                    existing = [name(self._random.randrange(self._size)) for _ in range(_CALLS["status"])]
                    self._time("status", existing, lambda one: server.read("status", {"dag_id": one}))
                    self._time("deploy", new, lambda one: server.deploy(_entity(one)))
                    self._time("trigger", new, server.trigger)
            finally:
                server.close()
            self.figures["gateway_rss_mb"] = resident_mib(gateway.process.pid)

    def _time(self, what: str, names: list[str], call: Callable[[str], Reply]) -> None:
        took = self.samples[f"gateway_{what}_ms"] = []
        with self._timeline.phase(what):
            for one in names:
                begin = time.perf_counter()
                reply = call(one)
                took.append(round(1000 * (time.perf_counter() - begin), 1))
                if reply.code != 200:  # noqa: PLR2004  the contract's only success
                    self.problems.append(f"{what} of {one}: HTTP {reply.code}")
        self.figures[f"gateway_{what}_p50_ms"] = percentile(took, 0.5)
        self.figures[f"gateway_{what}_p99_ms"] = percentile(took, 0.99)


def _entity(one: str) -> dict[str, object]:
    return entity(one, airflowConfig=airflow(scheduleInterval=None))
