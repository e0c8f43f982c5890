"""What thousands of pipelines cost: `make scale N=5000`.

The real operator and the real gateway run as processes beside the test cluster, with the Roles of manifests/;
pods of runs can be scheduled nowhere. For a fiftieth, a fifth and all of N: pipelines applied until all are Ready,
four finished runs added to each, rest, one change among all, 200 schedules in the same minute, a restart, the
gateway's calls, the start of both programs, ordinary runs, and a night of one run for each pipeline with the operator
and without it; and the same objects written by a script. OPERATOR names another checkout to measure instead of this
one. Prints a table, and as its last line one JSON object. Exits with 1 if anything was missing.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Final

from benchmarks.environment import remove_namespace
from benchmarks.scale import document
from benchmarks.scale.environment import open_environment
from benchmarks.scale.measuring import Measured, Measuring
from benchmarks.scale.report import last_line, table
from benchmarks.scale.subject import Subject
from testcluster import provider
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import show
from testing.machine import facts

_LEAST: Final = 10
_REMOVAL_SECONDS: Final = 1200


def measure(cluster: Cluster, subject: Subject, size: int, taken: Callable[[Measured], None]) -> None:
    """Take all figures of one size, in two namespaces that are removed again; they are `taken` before that."""
    ours, raw = f"scale-{size}", f"scale-raw-{size}"
    try:
        with open_environment(cluster, raw, subject) as environment:
            measuring = Measuring(environment, size)
            measuring.raw()
        floor = measuring.measured.figures
        remove_namespace(cluster, raw, _REMOVAL_SECONDS)
        with open_environment(cluster, ours, subject) as environment:
            measured = Measuring(environment, size).all()
        measured.figures |= floor
        taken(measured)
    finally:
        for namespace in (raw, ours):
            remove_namespace(cluster, namespace, _REMOVAL_SECONDS)


def measure_one(cluster: Cluster, subject: Subject) -> Measured:
    """Return what the gateway takes beside a single pipeline, taken in a namespace that is removed again."""
    namespace = "scale-one"
    try:
        with open_environment(cluster, namespace, subject) as environment:
            return Measuring(environment, 1).one()
    finally:
        remove_namespace(cluster, namespace, _REMOVAL_SECONDS)


def main() -> int:
    """Run the benchmark; 0 only if nothing was missing."""
    largest = int(os.environ.get("N", "5000"))
    sizes = sorted({max(_LEAST, largest // 50), max(_LEAST, largest // 5), max(_LEAST, largest)})
    begin = time.monotonic()
    found: list[Measured] = []
    folder = document.COMMITTED if os.environ.get("WRITE") else document.RESULTS

    def taken(measured: Measured) -> None:
        if measured.size == sizes[-1]:
            measured.figures |= one.figures
            measured.problems += one.problems
        found.append(measured)
        document.write_results(found, machine, folder, subject)

    try:
        subject = Subject.named()
        cluster = provider.up()
        machine = facts(cluster)
        subject.install(cluster)
        one = measure_one(cluster, subject)
        for size in sizes:
            show(f"measuring {size:,} pipelines")
            measure(cluster, subject, size, taken)
    except (TestClusterError, AssertionError) as error:
        show(f"scale: {error}")
        return 1
    if folder is document.COMMITTED and not subject.is_other:
        document.write(found, machine)
    print(table(found))
    print(f"samples and drawing: {folder.relative_to(CHECKOUT)}/scale*; it took {time.monotonic() - begin:.0f} s")
    print(last_line(found), flush=True)
    return 1 if any(measured.problems for measured in found) else 0


if __name__ == "__main__":
    sys.exit(main())
