"""The gateway beside the pipelines: what its calls take, as an OpenMetadata server makes them.

The contract has no call that lists pipelines; what depends on their number is a deploy of a new name, which
searches for a pipeline of that name that a user has applied.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.scale.environment import Environment
from benchmarks.scale.pipelines import name
from benchmarks.scale.subject import GATEWAY_MODULE
from benchmarks.scale.timeline import Timeline
from testing.entities import airflow, entity
from testing.figures import percentile
from testing.gateway import write_credentials
from testing.gateway_process import GatewayProcess, start_gateway, write_account_kubeconfig
from testing.process import resident_mib
from testing.server_client import Reply, ServerClient

_CALLS: Final = {"status": 100, "deploy": 50, "trigger": 50}
_SEED: Final = 8


class GatewayCalls:
    """Takes the gateway's figures."""

    def __init__(self, environment: Environment, size: int, timeline: Timeline) -> None:
        self._environment = environment
        self._size = size
        self._timeline = timeline
        self._random = random.Random(_SEED)  # noqa: S311  which pipelines are asked for, the same ones each time
        self.figures: dict[str, float] = {}
        self.samples: dict[str, list[float]] = {}
        self.problems: list[str] = []
        self.kubeconfig = write_account_kubeconfig(
            environment.cluster,
            environment.namespace,
            environment.folder / "gateway-kubeconfig",
            manifest=environment.subject.manifest("gateway.yaml"),
        )
        self.credentials = write_credentials(environment.folder / "credentials", plain=("admin", "secret"))

    def measure(self) -> None:
        """Ask for statuses, deploy new pipelines on demand, and trigger them."""
        new = [f"deployed-{number}" for number in range(_CALLS["deploy"])]
        with self.started() as gateway, self._server(gateway) as server:
            self._statuses(server)
            self._time("deploy", new, lambda one: server.deploy(_entity(one)))
            self._time("trigger", new, server.trigger)
            self.figures["gateway_rss_mb"] = resident_mib(gateway.process.pid)

    def measure_statuses(self) -> None:
        """Ask for statuses only."""
        with self.started() as gateway, self._server(gateway) as server:
            self._statuses(server)

    def trigger(self, gateway: GatewayProcess, count: int) -> None:
        """Trigger the first pipelines, one after the other."""
        with self._server(gateway) as server:
            for one in map(name, range(count)):
                self._check("trigger", one, server.trigger(one))

    @contextmanager
    def started(self) -> Iterator[GatewayProcess]:
        """Run a gateway until the block ends."""
        environment = self._environment
        with (
            start_gateway(
                environment.folder,
                kubeconfig=self.kubeconfig,
                namespace=environment.namespace,
                settings=environment.settings_path,
                credentials=self.credentials,
                program=environment.subject.program(GATEWAY_MODULE),
            ) as gateway,
            self._timeline.sampling("gateway", gateway.process.pid),
        ):
            yield gateway

    @contextmanager
    def _server(self, gateway: GatewayProcess) -> Iterator[ServerClient]:
        server = ServerClient.old(gateway.port)
        try:
            yield server
        finally:
            server.close()

    def _statuses(self, server: ServerClient) -> None:
        existing = [name(self._random.randrange(self._size)) for _ in range(_CALLS["status"])]
        self._time("status", existing, lambda one: server.read("status", {"dag_id": one}))

    def _time(self, what: str, names: list[str], call: Callable[[str], Reply]) -> None:
        took = self.samples[f"gateway_{what}_ms"] = []
        with self._timeline.phase(what):
            for one in names:
                begin = time.perf_counter()
                reply = call(one)
                took.append(round(1000 * (time.perf_counter() - begin), 1))
                self._check(what, one, reply)
        self.figures[f"gateway_{what}_p50_ms"] = percentile(took, 0.5)
        self.figures[f"gateway_{what}_p99_ms"] = percentile(took, 0.99)

    def _check(self, what: str, one: str, reply: Reply) -> None:
        if reply.code != 200:  # noqa: PLR2004  the contract's only success
            self.problems.append(f"{what} of {one}: HTTP {reply.code}")


def _entity(one: str) -> dict[str, object]:
    return entity(one, airflowConfig=airflow(scheduleInterval=None))
