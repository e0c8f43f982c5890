"""Hours of random use with faults: `make soak DURATION=120 SEED=1`.

The real operator and gateway run as processes beside the test cluster's API server, with the Roles of manifests/, and
reach it through proxies that fail. Pipelines are created, changed, run, killed, paused and deleted at random, through
the gateway and with kubectl. Prints a table and, as its last line, one JSON object. Exits with 1 if a run was lost or
doubled, something leaked, or a process grew.
"""

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict

from testcluster import provider
from testcluster.errors import TestClusterError
from testcluster.locations import CHECKOUT
from testcluster.progress import show
from testing.install import install_crd
from tests.scenarios.soak import report
from tests.scenarios.soak.execution import LONG, soak


def main() -> int:
    """Soak; 0 only if nothing was amiss."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenarios.soak", description="Hours of random use with faults."
    )
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = CHECKOUT / "benchmarks" / "results" / f"soak-{arguments.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = time.monotonic()
    try:
        cluster = provider.up()
        install_crd(cluster)
        result = soak(cluster, folder, seed=arguments.seed, seconds=60 * arguments.minutes, scale=LONG)
    except (TestClusterError, AssertionError) as error:
        show(f"soak: {error}")
        show(f"seed {arguments.seed}; steps and logs: {folder}")
        return 1
    (folder / "result.json").write_text(json.dumps(asdict(result)))
    violations = report.violations(result)
    print(report.table(result))
    for violation in violations:
        print(f"VIOLATION: {violation}")
    print(f"steps, logs and samples: {folder.relative_to(CHECKOUT)}; it took {time.monotonic() - begin:.0f} s")
    print(report.last_line(result), flush=True)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
