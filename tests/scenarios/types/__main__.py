"""Every pipeline type on a real cluster, with its failures: `make test-types`.

    python -m tests.scenarios.types --only lineage dbt --at-once 2
    python -m tests.scenarios.types --write

Prints the table and, as its last line, one JSON object. Exits with 0 only if every run ended as it must.
"""

import argparse
import sys
import time

from testcluster import images, provider
from testcluster.errors import TestClusterError
from testcluster.progress import show
from testing.installation import Credentials, open_installation, remove
from testing.machine import facts
from tests.scenarios.types import document, report
from tests.scenarios.types.cases import CASES
from tests.scenarios.types.cases.databases import CATALOGUE
from tests.scenarios.types.environment import open_whole_environment
from tests.scenarios.types.execution import bad_calls, run_all

NAMESPACE = "types"


def main() -> int:
    """Run the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenarios.types", description="Every pipeline type, for real."
    )
    parser.add_argument("--only", nargs="+", default=[], choices=[case.name for case in CASES], metavar="NAME")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="runs at a time; times are those of 1")
    parser.add_argument("--write", action="store_true", help=f"rewrite the table in {document.NAME}")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.at_once != 1):
        parser.error("--write takes all cases, one at a time: leave out --only and --at-once")
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    if CATALOGUE not in cases and any(case.needs_catalogue for case in cases):
        cases.insert(0, CATALOGUE)
    begin = time.monotonic()
    try:
        cluster = provider.up()
        built = images.load(cluster, ["operator", "runner", "fake-openmetadata", "postgres", "mariadb"])
        machine = facts(cluster)
        remove(cluster, NAMESPACE)
        with (
            open_installation(cluster, NAMESPACE, built, Credentials.random()) as installation,
            open_whole_environment(installation) as environment,
        ):
            results = run_all(environment, cases, arguments.at_once)
            refused = bad_calls(environment)
        remove(cluster, NAMESPACE)
    except (TestClusterError, AssertionError) as error:
        show(f"test-types: {error}")
        return 1
    print(report.table(results))
    print(f"all of it took {time.monotonic() - begin:.0f} s; load before {machine['load_before']}")
    problems = [*report.problems(results), *(f"the server refuses {call}" for call in refused)]
    for problem in problems:
        print(f"NOT AS EXPECTED: {problem}")
    if arguments.write and not problems:
        document.SECTION.write(document.content(report.table(results), machine))
    print(report.last_line(results), flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
