"""The queue's two lanes: what goes first, and that neither keeps what does not count any more."""

import asyncio
from collections.abc import Callable

import pytest

from ingestion_operator.controllers.queue import WORKERS, RefreshQueue
from ingestion_operator.k8s.objects import PipelineKey
from tests.support.looks import Looks, running
from tests.support.waiting import until

A, B = PipelineKey("data", "a"), PipelineKey("data", "b")


async def _overtaken(mark: Callable[[RefreshQueue, PipelineKey], None]) -> list[PipelineKey]:
    """Let all workers be busy and many pipelines wait, mark one more, and return what is looked at after that."""
    looks = Looks()
    looks.gate.clear()
    crowd = [PipelineKey("data", f"crowd-{number:02}") for number in range(3 * WORKERS)]
    async with running(looks) as queue:
        for key in crowd:
            queue.mark(key)
        await until("every worker looks", lambda: looks.running == WORKERS)
        mark(queue, A)
        looks.gate.set()
        await until("one more than those was looked at", lambda: len(looks.keys) > len(crowd))
    return looks.keys[WORKERS:]


def test_a_pipeline_whose_run_has_changed_goes_before_all_that_wait() -> None:
    later = asyncio.run(_overtaken(lambda queue, key: queue.mark(key, after=0, is_urgent=True)))
    assert A in later[:WORKERS]


def test_a_pipeline_that_is_not_urgent_waits_its_turn() -> None:
    later = asyncio.run(_overtaken(lambda queue, key: queue.mark(key, after=0)))
    assert A not in later[:WORKERS]


def test_an_urgent_mark_outlives_marks_that_are_not() -> None:
    def mark(queue: RefreshQueue, key: PipelineKey) -> None:
        queue.mark(key, after=0)
        queue.mark(key, after=0, is_urgent=True)
        queue.mark(key, after=0)

    later = asyncio.run(_overtaken(mark))
    assert A in later[:WORKERS]
    assert later.count(A) == 1


@pytest.mark.parametrize("is_urgent", [True, False])
def test_what_was_superseded_is_not_kept_until_its_time(is_urgent: bool) -> None:
    looks = Looks()

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A, after=0.05, is_urgent=is_urgent)
            for days in range(1000, 0, -1):
                queue.mark(B, after=24 * 3600.0 * days, is_urgent=is_urgent)
            assert len(queue._lanes[is_urgent]) < 100
            queue.mark(B, after=0.1, is_urgent=is_urgent)
            await until("there were two looks", lambda: len(looks.seen) == 2)

    asyncio.run(scene())
    assert looks.keys == [A, B]
