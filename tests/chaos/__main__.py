"""The fault matrix on a real cluster: `make chaos`.

    python -m tests.chaos --rounds 3 --only success killed-running --write

Prints the matrix and, as its last line, one JSON object. Exits with 0 only if every row ended as it must in every
round, and no run is lost or doubled.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kubernetes.client.exceptions import ApiException

from benchmarks.machine import facts
from ingestion_operator.errors import ClusterError
from tests.chaos import document, report, verdict
from tests.chaos.row import SETTLE_SECONDS, Result, Row, problems_of
from tests.chaos.rows import ROWS
from tests.chaos.scene import Scene
from tests.chaos.stage import NAMESPACE, Stage, open_stage
from tests.cluster import cluster as testbed
from tests.cluster.errors import TestBedError
from tests.cluster.progress import say, step
from tests.support.double_client import DoubleError
from tests.support.site import remove

_AT_ONCE: Final = 3
"""Rows that disturb nobody: more interpreters that start at once would slow each other down on two cores."""


def play(stage: Stage, row: Row, number: int) -> tuple[Scene, Result]:
    """Play a row once; whatever goes wrong is in the result."""
    scene = Scene(stage, f"{row.name}-{number}", row.expected)
    begin, problems = time.monotonic(), []
    with step(f"{row.name}, round {number}"):
        try:
            row.act(scene)
        except (AssertionError, TestBedError, ClusterError, ApiException, DoubleError, OSError) as error:
            problems.append(f"it could not be played to its end: {error}")
        scene.settle(timeout=SETTLE_SECONDS)
        stories = scene.stories(with_logs=True)
    problems += problems_of(stories)
    for problem in problems:
        say(f"  {row.name}: {problem}")
    if problems:
        for _, story in stories:
            say(f"  {report.timeline(story)}")
    return scene, Result(row, number, stories, problems, time.monotonic() - begin)


def play_all(stage: Stage, rows: Sequence[Row], rounds: int) -> tuple[list[Result], int, int]:
    """Play every row in every round; return the results by row, and how many runs are lost and doubled in the end."""
    played: list[tuple[Scene, Result]] = []
    for number in range(1, rounds + 1):
        together = [row for row in rows if not row.is_alone]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            played += pool.map(lambda row, number=number: play(stage, row, number), together)
        played += [play(stage, row, number) for row in rows if row.is_alone]
        passed = sum(result.has_passed for _, result in played)
        say(f"round {number} of {rounds}: {passed} of {len(played)} passed so far")
    # Once more, when everything has come to rest: nothing may have changed since.
    stories = [story for scene, _ in played for story in scene.stories(with_logs=False)]
    lost, doubled = verdict.count(stories)
    lost += len(stage.observer.runs().keys() - {story.run_id for _, story in stories})
    order = {row.name: place for place, row in enumerate(rows)}
    return sorted((result for _, result in played), key=lambda result: order[result.row.name]), lost, doubled


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
