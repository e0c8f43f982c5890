"""What the runner's image costs to start, beside an image that pip made: `make bench-runner`.

Both are built. The real gateway is asked to run the same pipeline with each, in turn: the operator admits the Job, and
the pod reads a seeded PostgreSQL and writes to a fake OpenMetadata server. Prints a table, and as its last line one
JSON object. Exits with 1 if a run did not succeed.

RUNS=5 is how many runs of each image are measured; one more, before them, warms the node.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.start_up import PROBE, Start, figures, last_line, start_of, table
from testcluster import images, provider
from testcluster.errors import TestClusterError
from testcluster.images import Image
from testcluster.locations import CHECKOUT, cache
from testcluster.progress import show
from testing.connection_tests import gateway_with_pool, run_connection_test, wait_for_pool
from testing.install import install_gateway
from testing.installation import SERVICE, Credentials, Installation, open_installation, pipeline, remove
from testing.machine import facts
from testing.server_client import ServerClient
from testing.waiting import wait_for

NAMESPACE: Final = "bench-runner"
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "runner.json"
IMAGES: Final[Mapping[str, Image]] = {
    **images.IMAGES,
    "runner-naive": Image("localhost/ingestion-runner-naive", Path("benchmarks/naive/Dockerfile"), Path()),
}
# The images by what is compared, and the server version by which the operator's settings choose between them.
_NAMES: Final = {"ours": "runner", "naive": "runner-naive"}
_VERSIONS: Final = {"ours": "2.0", "naive": "0.0"}
_POOLS: Final = {"cold": 0, "warm_pool": 1}
_SECONDS: Final = 120.0

Probes = dict[str, list[dict[str, float]]]


class Measuring:
    """Takes the samples, one after the other: nothing else runs on the cluster."""

    def __init__(self, installation: Installation, server: ServerClient) -> None:
        self._installation = installation
        self._server = server
        self.starts: dict[str, list[Start]] = {kind: [] for kind in _NAMES}
        self.probes: Probes = {kind: [] for kind in _NAMES}
        self.connection_tests: dict[str, list[float]] = {}

    def take(self, runs: int) -> None:
        """Run both images in turn; the first time is for warming up."""
        for kind, version in _VERSIONS.items():
            body = pipeline(kind)
            body["spec"]["server"]["version"] = version
            self._installation.fake_server.register_pipeline(f"{SERVICE}.{kind}")
            self._installation.apply(body)
            self._wait_until_deployed(kind)
        for number in range(runs + 1):
            for kind in _NAMES:
                start, probe = self._run(kind), self._probe(kind, number)
                show(f"{number} {kind}: {start}, {probe}")
                if number:
                    self.starts[kind].append(start)
                    self.probes[kind].append(probe)

    def take_connection_tests(self, kind: str, server: ServerClient, pool: int, runs: int) -> None:
        """Test a connection again and again, each time with a full pool."""
        self.connection_tests[kind] = []
        for number in range(runs):
            wait_for_pool(self._installation, pool)
            seconds, found = run_connection_test(self._installation, server, f"test-connection-{kind}-{number}")
            if found["status"] != "Successful":
                raise AssertionError(f"the test of the connection ended as {found}")
            show(f"{number} connection test, {kind}: {seconds:.2f} s")
            self.connection_tests[kind].append(seconds)

    def _wait_until_deployed(self, kind: str) -> None:
        wait_for("the CronJob", lambda: self._installation.status(kind).get("cronJobName"), timeout=_SECONDS)

    def _run(self, kind: str) -> Start:
        name, fake_server = f"{SERVICE}.{kind}", self._installation.fake_server
        known = {run["runId"] for run in fake_server.runs(name)}
        fake_server.clear_calls()
        triggered = time.time()
        self._server.trigger(kind).message  # noqa: B018  asserts the success
        run = wait_for(
            f"a run of {kind}",
            lambda: next((r for r in fake_server.runs(name) if r["runId"] not in known), None),
            timeout=60,
        )
        done = fake_server.wait_for_run(name, timeout=_SECONDS, run_id=run["runId"])
        if done["state"] != "success":
            raise AssertionError(f"the run of {kind} ended as {done['state']}: {done['row']}")
        closing = fake_server.calls(method="PUT", path="/pipelineStatus")
        start = start_of(fake_server.calls(), triggered, closing[-1]["at"])
        # Until the pod is gone it uses the CPU that the next one is measured on.
        self._installation.wait_for_end(kind, run["runId"])
        return start

    def _probe(self, kind: str, number: int) -> dict[str, float]:
        """Import the library as the image does it, in a pod that has nothing else to do."""
        name = f"import-{kind}-{number}"
        self._installation.apply(_pod(name, self._installation.images[_NAMES[kind]]))
        wait_for(
            "the end of an import",
            lambda: (
                (self._installation.get("pod", name) or {}).get("status", {}).get("phase") in ("Succeeded", "Failed")
            ),
            timeout=_SECONDS,
        )
        log = self._installation.kubectl("logs", name)
        self._installation.kubectl("delete", "pod", name)
        found: dict[str, float] = json.loads(log.splitlines()[-1])
        return found


def _pod(name: str, image: str) -> dict[str, Any]:
    container = {
        "name": "import",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/venv/bin/python", "-c", PROBE],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _megabytes(name: str, reference: str) -> float:
    """The image's layers, not compressed, in megabytes."""
    return (cache() / "images" / f"{name}-{reference.rpartition(':')[2]}.tar").stat().st_size / 1e6


def main() -> int:
    """Run the benchmark; 0 only if every run succeeded."""
    runs, begin = int(os.environ.get("RUNS", "5")), time.monotonic()
    try:
        cluster = provider.up()
        built = images.load(cluster, ["operator", "fake-openmetadata", "postgres", *_NAMES.values()], IMAGES)
        machine = facts(cluster)
        remove(cluster, NAMESPACE)
        chosen = {_VERSIONS[kind]: {"image": built[name], "version": "2.0.6.0"} for kind, name in _NAMES.items()}
        try:
            with open_installation(
                cluster, NAMESPACE, built, Credentials.random(), runnerImages=chosen
            ) as installation:
                password = secrets.token_hex(16)
                admin = {"username": "admin", "password": password}
                install_gateway(cluster, NAMESPACE, built, **admin)
                with cluster.forward(NAMESPACE, "ingestion-gateway", 8080) as port:
                    server = ServerClient.new(port, **admin)
                    measuring = Measuring(installation, server)
                    measuring.take(runs)
                    server.close()
                for kind, pool in _POOLS.items():
                    with gateway_with_pool(installation, pool, **admin) as server:
                        measuring.take_connection_tests(kind, server, pool, runs)
        finally:
            remove(cluster, NAMESPACE)
    except (TestClusterError, AssertionError) as error:
        show(f"bench-runner: {error}")
        return 1
    sizes = {kind: _megabytes(name, built[name]) for kind, name in _NAMES.items()}
    found = figures(sizes, measuring.starts, measuring.probes, measuring.connection_tests)
    samples = {
        "starts": {kind: [asdict(start) for start in starts] for kind, starts in measuring.starts.items()},
        "imports": measuring.probes,
        "connection_tests_s": measuring.connection_tests,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "figures": found, "samples": samples}, indent=1))
    print(table(found))
    print(f"samples and machine: {RESULTS.relative_to(CHECKOUT)}; all of it took {time.monotonic() - begin:.0f} s")
    print(last_line(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
