"""What thousands of pipelines cost: `make scale N=5000`.

The real operator and the real gateway run as processes beside the test bed's cluster, with the Roles of manifests/;
pods of runs can be scheduled nowhere. For a fiftieth, a fifth and all of N: pipelines applied until all are Ready,
four finished runs added to each, rest, one change among all, 200 schedules in the same minute, a restart, the
gateway's status calls; and the same objects written by a script. Prints a table, and as its last line one JSON object.
Exits with 1 if anything was missing.
"""

import json
import os
import sys
import time
from typing import Any, Final

from benchmarks.machine import facts
from benchmarks.scale.growth import exponent
from benchmarks.scale.measuring import Measured, Measuring
from benchmarks.scale.scene import open_scene
from tests.cluster import cluster as testbed
from tests.cluster.errors import TestBedError
from tests.cluster.handle import Cluster
from tests.cluster.locations import CHECKOUT
from tests.cluster.progress import say, step
from tests.support.installation import install_definition

RESULTS: Final = CHECKOUT / "benchmarks" / "results" / "scale.json"
PROMISED: Final = (
    "apply_to_ready_s", "floor_s", "restart_writes", "restart_ready_s", "operator_rss_mb", "gateway_rss_mb",
    "change_latency_p99_ms",
)  # fmt: skip
"""What the last line has of the largest size."""

_LEAST: Final = 10

_GROWING: Final = (
    "apply_to_ready_s", "floor_s", "restart_ready_s", "operator_rss_mb", "gateway_rss_mb", "change_latency_p50_ms",
    "calls_per_pipeline", "apply_cpu_ms_per_pipeline", "restart_cpu_ms_per_pipeline", "restart_bytes_per_pipeline",
    "gateway_status_p50_ms",
)  # fmt: skip


def measure(bed: Cluster, size: int) -> Measured:
    """Take all figures of one size, in two namespaces that are removed again."""
    ours, raw = f"scale-{size}", f"scale-raw-{size}"
    try:
        with open_scene(bed, raw) as scene:
            measuring = Measuring(scene, size)
            measuring.raw()
        floor = measuring.measured.figures
        _remove(bed, raw)
        with open_scene(bed, ours) as scene:
            measured = Measuring(scene, size).all()
        measured.figures |= floor
        return measured
    finally:
        for namespace in (raw, ours):
            _remove(bed, namespace)


def _remove(bed: Cluster, namespace: str) -> None:
    with step(f"deleting namespace {namespace}"):
        bed.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=1200s", timeout=1220)


def table(found: list[Measured]) -> str:
    """Return the figures as lines for people: a row for each, a column for each size, the exponent last."""
    rows = [["", *(f"{measured.size:,}" for measured in found), "exponent"]]
    for key in dict.fromkeys(key for measured in found for key in measured.figures):
        costs = {measured.size: measured.figures[key] for measured in found if key in measured.figures}
        grows = exponent(costs) if key in _GROWING else None
        cells = [f"{costs[m.size]:,.6g}" if m.size in costs else "-" for m in found]
        rows.append([key, *cells, "" if grows is None else f"{grows:.2f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def last_line(found: list[Measured]) -> str:
    """Return the result as one JSON object, its promised keys first."""
    largest = found[-1].figures
    exponents = {
        key: grows
        for key in _GROWING
        if (grows := exponent({m.size: m.figures[key] for m in found if key in m.figures})) is not None
    }
    result: dict[str, Any] = {key: largest.get(key) for key in PROMISED}
    return json.dumps({**result, "exponents": exponents, "pipelines": found[-1].size})


def main() -> int:
    """Run the benchmark; 0 only if nothing was missing."""
    largest = int(os.environ.get("N", "5000"))
    sizes = sorted({max(_LEAST, largest // 50), max(_LEAST, largest // 5), max(_LEAST, largest)})
    begin, found = time.monotonic(), []
    try:
        bed = testbed.up()
        machine = facts(bed)
        install_definition(bed)
        for size in sizes:
            say(f"measuring {size:,} pipelines")
            found.append(measure(bed, size))
    except (TestBedError, AssertionError) as error:
        say(f"scale: {error}")
        return 1
    RESULTS.parent.mkdir(exist_ok=True)
    sizes_found = {measured.size: vars(measured) for measured in found}
    RESULTS.write_text(json.dumps({"machine": machine, "sizes": sizes_found}, indent=1))
    print(table(found))
    print(f"samples, calls and machine: {RESULTS.relative_to(CHECKOUT)}; it took {time.monotonic() - begin:.0f} s")
    print(last_line(found), flush=True)
    return 1 if any(measured.problems for measured in found) else 0


if __name__ == "__main__":
    sys.exit(main())
