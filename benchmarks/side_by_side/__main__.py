"""Airflow with the real plugin, and this operator with its gateway, on one machine in one run: `make bench`.

First Airflow alone, with this checkout's cluster down; then that is brought up, and ours is measured alone; then, with
ours down, what Kubernetes takes for the same. Both contenders are called by the same client in the same order. Writes
the samples, a table and a plot to benchmarks/results/; the last line is one JSON object. Exits with 1 if a figure is
missing.

RUNS=3 is how often what takes seconds is repeated.
"""

import json
import os
import signal
import sys
import time
from typing import Any, Final

from benchmarks.side_by_side import airflow, figures, ours, plot
from benchmarks.side_by_side.figures import CONTENDERS, Samples
from benchmarks.side_by_side.floor import Floor
from benchmarks.side_by_side.journeys import Journeys
from benchmarks.side_by_side.versions import versions
from testcluster import images, provider
from testcluster.errors import TestClusterError
from testcluster.locations import CHECKOUT
from testcluster.progress import show
from testing.fake_openmetadata_client import FakeServerError
from testing.machine import Facts, facts
from testing.postgres.process import PostgresError

RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "side_by_side.json"
_IDLE_SECONDS: Final = 60.0
_SHORT_IDLE_SECONDS: Final = 20.0
"""If everything is to be done only once."""


def measure(runs: int) -> tuple[Facts, dict[str, Samples]]:
    """Take all samples, one contender after the other."""
    samples = {name: Samples() for name in CONTENDERS}
    idle = _IDLE_SECONDS if runs > 1 else _SHORT_IDLE_SECONDS
    provider.down()  # beside Airflow it would cost CPU time, and after other work it has much memory
    load = round(os.getloadavg()[0], 2)
    show("Airflow with the plugin")
    with airflow.open_airflow() as contender:
        Journeys(contender, samples["airflow"], runs).all(idle)
    cluster = provider.up()
    machine = {**facts(cluster), "load_before": load}
    built = images.load(cluster, ours.IMAGES)
    show("operator and gateway")
    with ours.open_ours(cluster, built) as installed:
        Journeys(installed, samples["ours"], runs).all(idle)
        installed.stop()
        show("Kubernetes alone")
        Floor(installed, samples["floor"], runs).all(idle)
    return machine, samples


def result(machine: Facts, samples: dict[str, Samples], runs: int, seconds: float) -> dict[str, Any]:
    """Return all that is known, for the file of results."""
    return {
        "machine": machine,
        "versions": versions(airflow.LOCK),
        "runs": runs,
        "seconds": round(seconds),
        "figures": figures.results(samples),
        "notes": {name: each.notes for name, each in samples.items()},
        "loads": {name: each.loads for name, each in samples.items()},
        "components": {name: each.components for name, each in samples.items()},
        "samples": {name: dict(each.values) for name, each in samples.items()},
    }


def _write(found: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(figures.markdown(found["figures"]) + "\n")
    plot.draw(RESULTS, RESULTS.with_suffix(".png"))


def main() -> int:
    """Run the benchmark; 0 only if every figure is there, or explained."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything that was started ends
    runs, begin = int(os.environ.get("RUNS", "3")), time.monotonic()
    try:
        machine, samples = measure(runs)
    except (TestClusterError, AssertionError, FakeServerError, PostgresError) as error:
        show(f"bench: {error}")
        return 1
    found = result(machine, samples, runs, time.monotonic() - begin)
    _write(found)
    print(figures.markdown(found["figures"]))
    for name, notes in found["notes"].items():
        for note in notes:
            print(f"{name}: {note}")
    absent = figures.missing(found["figures"])
    for each in absent:
        show(f"missing: {each}")
    print(f"samples, plot and machine: {RESULTS.relative_to(CHECKOUT)}; all of it took {found['seconds']} s")
    print(figures.last_line(found["figures"]), flush=True)
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
