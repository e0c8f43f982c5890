"""What thousands of pipelines cost: `make scale N=5000`.

The real operator and the real gateway run as processes beside the test bed's cluster, with the Roles of manifests/;
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

from benchmarks.scale import document
from benchmarks.scale.measuring import Measured, Measuring
from benchmarks.scale.report import last_line, table
from benchmarks.scale.scene import open_scene
from benchmarks.scale.subject import Subject
from testcluster import cluster as testbed
from testcluster.errors import TestClusterError
from testcluster.handle import Cluster
from testcluster.locations import CHECKOUT
from testcluster.progress import say, step
from testing.machine import facts

_LEAST: Final = 10


def measure(bed: Cluster, subject: Subject, size: int, taken: Callable[[Measured], None]) -> None:
    """Take all figures of one size, in two namespaces that are removed again; they are `taken` before that."""
    ours, raw = f"scale-{size}", f"scale-raw-{size}"
    try:
        with open_scene(bed, raw, subject) as scene:
            measuring = Measuring(scene, size)
            measuring.raw()
        floor = measuring.measured.figures
        _remove(bed, raw)
        with open_scene(bed, ours, subject) as scene:
            measured = Measuring(scene, size).all()
        measured.figures |= floor
        taken(measured)
    finally:
        for namespace in (raw, ours):
            _remove(bed, namespace)


def measure_one(bed: Cluster, subject: Subject) -> Measured:
    """Return what the gateway takes beside a single pipeline, taken in a namespace that is removed again."""
    namespace = "scale-one"
    try:
        with open_scene(bed, namespace, subject) as scene:
            return Measuring(scene, 1).one()
    finally:
        _remove(bed, namespace)


def _remove(bed: Cluster, namespace: str) -> None:
    with step(f"deleting namespace {namespace}"):
        bed.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=1200s", timeout=1220)


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
        bed = testbed.up()
        machine = facts(bed)
        subject.install(bed)
        one = measure_one(bed, subject)
        for size in sizes:
            say(f"measuring {size:,} pipelines")
            measure(bed, subject, size, taken)
    except (TestClusterError, AssertionError) as error:
        say(f"scale: {error}")
        return 1
    if folder is document.COMMITTED and not subject.is_other:
        document.write(found, machine)
    print(table(found))
    print(f"samples and drawing: {folder.relative_to(CHECKOUT)}/scale*; it took {time.monotonic() - begin:.0f} s")
    print(last_line(found), flush=True)
    return 1 if any(measured.problems for measured in found) else 0


if __name__ == "__main__":
    sys.exit(main())
