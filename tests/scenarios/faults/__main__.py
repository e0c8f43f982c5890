"""The fault matrix on a real cluster: `make chaos`.

    python -m tests.scenarios.faults --rounds 3 --only success killed-running --write

Prints the matrix and, as its last line, one JSON object. Exits with 0 only if every case ended as it must in every
round, no run is lost, doubled or hidden, and the operator was never deaf.
"""

import argparse
import sys
import time

from testcluster import binaries, provider
from testcluster.errors import TestClusterError
from testcluster.progress import show
from testing.machine import facts
from tests.scenarios.faults import document, report
from tests.scenarios.faults.cases import CASES
from tests.scenarios.faults.environment import open_environment, remove_leftovers
from tests.scenarios.faults.execution import run_all


def main() -> int:
    """Run the matrix."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenarios.faults", description="The fault matrix on a real cluster."
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each case is run")
    parser.add_argument("--only", nargs="+", default=[], choices=[case.name for case in CASES], metavar="NAME")
    parser.add_argument("--write", action="store_true", help=f"rewrite the table in {document.NAME}")
    parser.add_argument("--list", action="store_true", help="print names and faults, and run nothing")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write takes all cases: the table of some would replace the whole; leave out --only")
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    if arguments.list:
        for case in cases:
            print(f"{case.name:<40} {case.place:<10} {case.fault}; able again within {case.able_within:.0f} s")
        return 0
    begin = time.monotonic()
    try:
        cluster = provider.up()
        binaries.ensure_helm()
        machine = facts(cluster)
        remove_leftovers(cluster)
        with open_environment(cluster) as environment:
            results, counts = run_all(environment, cases, arguments.rounds)
        remove_leftovers(cluster)
    except (TestClusterError, AssertionError) as error:
        show(f"chaos: {error}")
        return 1
    print(report.table(results))
    print(f"all of it took {time.monotonic() - begin:.0f} s; load before {machine['load_before']}")
    print(f"slowest: {report.slowest(results)}")
    for failure in report.failures(results):
        print(f"NOT AS EXPECTED: {failure}")
    if arguments.write:
        document.SECTION.write(document.content(report.table(results), machine, arguments.rounds))
    print(report.last_line(results, counts), flush=True)
    return 0 if all(result.has_passed for result in results) and not counts else 1


if __name__ == "__main__":
    sys.exit(main())
