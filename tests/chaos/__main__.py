"""The fault matrix on a real cluster: `make chaos`.

    python -m tests.chaos --rounds 3 --only success killed-running --write

Prints the matrix and, as its last line, one JSON object. Exits with 0 only if every row ended as it must in every
round, and no run is lost or doubled.
"""

import argparse
import sys
import time

from benchmarks.machine import facts
from tests.chaos import document, report
from tests.chaos.play import play_all
from tests.chaos.rows import ROWS
from tests.chaos.stage import NAMESPACE, open_stage
from tests.cluster import cluster as testbed
from tests.cluster.errors import TestBedError
from tests.cluster.progress import say
from tests.support.site import remove


def main() -> int:
    """Play the matrix."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="The fault matrix on a real cluster.")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each row is played")
    parser.add_argument("--only", nargs="+", default=[], choices=[row.name for row in ROWS], metavar="NAME")
    parser.add_argument("--write", action="store_true", help=f"rewrite the table in {document.NAME}")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write takes all rows: the table of some would replace the whole; leave out --only")
    rows = [row for row in ROWS if not arguments.only or row.name in arguments.only]
    begin = time.monotonic()
    try:
        bed = testbed.up()
        machine = facts(bed)
        remove(bed, NAMESPACE)
        with open_stage(bed) as stage:
            results, lost, doubled = play_all(stage, rows, arguments.rounds)
        remove(bed, NAMESPACE)
    except (TestBedError, AssertionError) as error:
        say(f"chaos: {error}")
        return 1
    print(report.table(results))
    print(f"all of it took {time.monotonic() - begin:.0f} s; load before {machine['load_before']}")
    for failure in report.failures(results):
        print(f"NOT AS EXPECTED: {failure}")
    if arguments.write:
        document.write(report.table(results), machine, arguments.rounds)
    print(report.last_line(results, lost=lost, doubled=doubled), flush=True)
    return 0 if all(result.has_passed for result in results) and not lost and not doubled else 1


if __name__ == "__main__":
    sys.exit(main())
