"""Playing rows of the matrix on a stage."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kubernetes.client.exceptions import ApiException

from ingestion_operator.errors import ClusterError
from tests.chaos import report, verdict
from tests.chaos.row import SETTLE_SECONDS, Result, Row, problems_of
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage
from tests.cluster.errors import TestBedError
from tests.cluster.progress import say, step
from tests.support.double_client import DoubleError

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


def play_round(stage: Stage, rows: Sequence[Row], number: int) -> list[tuple[Scene, Result]]:
    """Play every row once: together what disturbs nobody, then the others."""
    together = [row for row in rows if not row.is_alone]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        played = list(pool.map(lambda row: play(stage, row, number), together))
    return played + [play(stage, row, number) for row in rows if row.is_alone]


def play_all(stage: Stage, rows: Sequence[Row], rounds: int) -> tuple[list[Result], int, int]:
    """Play every row in every round; return the results by row, and how many runs are lost and doubled in the end."""
    played: list[tuple[Scene, Result]] = []
    for number in range(1, rounds + 1):
        played += play_round(stage, rows, number)
        passed = sum(result.has_passed for _, result in played)
        say(f"round {number} of {rounds}: {passed} of {len(played)} passed so far")
    # Once more, when everything has come to rest: nothing may have changed since.
    stories = [story for scene, _ in played for story in scene.stories(with_logs=False)]
    lost, doubled = verdict.count(stories)
    lost += len(stage.observer.runs().keys() - {story.run_id for _, story in stories})
    order = {row.name: place for place, row in enumerate(rows)}
    return sorted((result for _, result in played), key=lambda result: order[result.row.name]), lost, doubled
