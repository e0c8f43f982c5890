"""The gateway's times with few and with many pipelines: `make bench-gateway`.

The real gateway and the real operator run as processes on the test bed's cluster; pods of runs can be scheduled
nowhere. Prints a table, and as its last line one JSON object. Exits with 1 if any call failed.

SIZES=1,1000,5000 says how many pipelines exist, SEQUENTIAL=1000 how many are deployed one after the other at the
largest size; at the smaller ones it is a fifth of that.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.admissions import Admissions
from benchmarks.measuring import Measuring
from benchmarks.population import Population
from ingestion_operator.adapters.kube.client import KubernetesCluster, connect, read_configuration
from ingestion_operator.api.settings import Settings
from testcluster import cluster as testbed
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import say, step
from testing.figures import figures, last_line, table
from testing.gateway import write_credentials
from testing.gateway_process import start_gateway, write_account_kubeconfig
from testing.installation import install_definition
from testing.machine import Facts, facts
from testing.operator_process import start_operator

NAMESPACE: Final = "bench-gateway"
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "gateway.json"
SETTINGS: Final = {
    "runnerImages": {"2.0": {"image": "localhost/none:1", "version": "2.0.6.0"}},
    "defaultServerVersion": "2.0",
    # A run is to be admitted, not to run: its pod fits no node.
    "podTemplate": {"spec": {"nodeSelector": {"ingestion.openmetadata.org/benchmark": "nowhere"}}},
}
_SMALLER_SHARE: Final = 5
_FAILURES_SHOWN: Final = 20


def measure(bed: Cluster, sizes: Sequence[int], sequential: int) -> dict[int, Measuring]:
    """Take all samples; beside each size in turn, from the smallest to the largest."""
    api = connect(read_configuration(str(bed.kubeconfig)), pool_size=16)
    cluster = KubernetesCluster(api)
    population = Population(cluster, NAMESPACE, Settings.model_validate(SETTINGS))
    measured: dict[int, Measuring] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        credentials = write_credentials(folder / "credentials", plain=("admin", "secret"))
        account = write_account_kubeconfig(bed, NAMESPACE, folder / "kubeconfig")
        with (
            start_operator(folder, kubeconfig=bed.kubeconfig, namespace=NAMESPACE, settings=settings),
            start_gateway(
                folder, kubeconfig=account, namespace=NAMESPACE, settings=settings, credentials=credentials
            ) as gateway,
            Admissions(connect(read_configuration(str(bed.kubeconfig))), NAMESPACE) as admissions,
        ):
            for size in sizes:
                population.grow(size)
                say(f"measuring beside {size:,} pipelines")
                measured[size] = Measuring(gateway.port, cluster, NAMESPACE, admissions)
                measured[size].warm_up()
                measured[size].sequential(sequential if size == max(sizes) else sequential // _SMALLER_SHARE)
                measured[size].at_once()
    return measured


def _remove_namespace(bed: Cluster) -> None:
    with step(f"deleting namespace {NAMESPACE}"):
        bed.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=600s", timeout=620)


def _write(machine: Facts, measured: dict[int, Measuring], seconds: float) -> None:
    result: dict[str, Any] = {
        "machine": machine,
        "seconds": round(seconds),
        "samples_ms": {size: dict(found.samples) for size, found in measured.items()},
        "errors": {size: found.errors for size, found in measured.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1))


def main() -> int:
    """Run the benchmark; 0 only if every call succeeded."""
    sizes = sorted({int(size) for size in os.environ.get("SIZES", "1,1000,5000").split(",")})
    sequential = int(os.environ.get("SEQUENTIAL", "1000"))
    begin = time.monotonic()
    try:
        bed = testbed.up()
        machine = facts(bed)
        install_definition(bed)
        _remove_namespace(bed)
        bed.kubectl("create", "namespace", NAMESPACE)
        try:
            measured = measure(bed, sizes, sequential)
        finally:
            _remove_namespace(bed)
    except (TestClusterError, AssertionError) as error:
        say(f"bench-gateway: {error}")
        return 1
    _write(machine, measured, time.monotonic() - begin)
    found = figures({size: each.samples for size, each in measured.items()})
    failures = [failure for each in measured.values() for failure in each.errors]
    for failure in failures[:_FAILURES_SHOWN]:
        say(f"error: {failure}")
    print(table(found, sizes))
    print(f"samples and machine: {RESULTS.relative_to(CHECKOUT)}; all of it took {time.monotonic() - begin:.0f} s")
    print(last_line(found, len(failures)), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
