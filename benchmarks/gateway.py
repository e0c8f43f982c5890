"""The gateway's times with few and with many pipelines: `make bench-gateway`.

The real gateway and the real operator run as processes on the test cluster; pods of runs can be scheduled
nowhere. Prints a table, and as its last line one JSON object. Exits with 1 if any call failed.

SIZES=1,1000,5000 is how many pipelines exist, SEQUENTIAL=1000 how many are deployed one after the other at the
largest size; at the smaller ones it is a fifth of that.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.environment import open_environment
from benchmarks.measuring import Measuring
from testcluster import provider
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import show
from testing.figures import figures, last_line, table
from testing.install import install_crd
from testing.machine import Facts, facts

NAMESPACE: Final = "bench-gateway"
RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "gateway.json"
_SMALLER_SHARE: Final = 5
_FAILURES_SHOWN: Final = 20


def measure(cluster: Cluster, sizes: Sequence[int], sequential: int) -> dict[int, Measuring]:
    """Take all samples; beside each size in turn, from the smallest to the largest."""
    measured: dict[int, Measuring] = {}
    with open_environment(cluster, NAMESPACE) as environment:
        for size in sizes:
            environment.population.grow(size)
            show(f"measuring beside {size:,} pipelines")
            found = measured[size] = environment.measuring()
            found.warm_up()
            found.sequential(sequential if size == max(sizes) else sequential // _SMALLER_SHARE)
            found.at_once()
    return measured


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
        cluster = provider.up()
        machine = facts(cluster)
        install_crd(cluster)
        measured = measure(cluster, sizes, sequential)
    except (TestClusterError, AssertionError) as error:
        show(f"bench-gateway: {error}")
        return 1
    _write(machine, measured, time.monotonic() - begin)
    found = figures({size: each.samples for size, each in measured.items()})
    failures = [failure for each in measured.values() for failure in each.errors]
    for failure in failures[:_FAILURES_SHOWN]:
        show(f"error: {failure}")
    print(table(found, sizes))
    print(f"samples and machine: {RESULTS.relative_to(CHECKOUT)}; all of it took {time.monotonic() - begin:.0f} s")
    print(last_line(found, len(failures)), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
