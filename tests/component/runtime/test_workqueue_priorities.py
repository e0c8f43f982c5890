"""The queue's two priorities: what goes first, the share of the other, and memory for what no longer counts."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.workqueue import WORKERS, Priority, WorkQueue
from testing.fake_clock import FakeClock
from testing.reconciles import Reconciles, idle, running
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

A, B = PipelineKey("data", "a"), PipelineKey("data", "b")


def many(name: str, count: int) -> list[PipelineKey]:
    return [PipelineKey("data", f"{name}-{number:03}") for number in range(count)]


async def _overtaken(add: Callable[[WorkQueue, PipelineKey], None]) -> list[PipelineKey]:
    """Let all workers work and many pipelines wait, add one more, and return what is reconciled after that."""
    reconciles = Reconciles()
    reconciles.gate.clear()
    waiting = many("waiting", 3 * WORKERS)
    async with running(reconciles) as queue:
        for key in waiting:
            queue.add(key)
        await until("every worker works", lambda: reconciles.running == WORKERS)
        add(queue, A)
        reconciles.gate.set()
        await until("one more than those was reconciled", lambda: len(reconciles.keys) > len(waiting))
    return reconciles.keys[WORKERS:]


def test_high_priority_goes_before_all_that_wait() -> None:
    later = asyncio.run(_overtaken(lambda queue, key: queue.add(key, after=0, priority=Priority.HIGH)))
    assert A in later[:WORKERS]


def test_normal_priority_waits_its_turn() -> None:
    later = asyncio.run(_overtaken(lambda queue, key: queue.add(key, after=0)))
    assert A not in later[:WORKERS]


def test_high_priority_outlives_normal_requests() -> None:
    def add(queue: WorkQueue, key: PipelineKey) -> None:
        queue.add(key, after=0)
        queue.add(key, after=0, priority=Priority.HIGH)
        queue.add(key, after=0)

    later = asyncio.run(_overtaken(add))
    assert A in later[:WORKERS]
    assert later.count(A) == 1


async def test_a_later_high_request_does_not_delay_an_earlier_one() -> None:
    reconciles = Reconciles()
    async with running(reconciles) as queue:
        queue.add(A, after=0)
        queue.add(A, after=1000, priority=Priority.HIGH)
        queue.add(B, after=1000, priority=Priority.HIGH)
        queue.add(B, after=0)
        await idle(queue)
    assert sorted(reconciles.keys) == [A, B]


@pytest.mark.parametrize("error", [Conflict("changed", code=409), Unavailable("away"), ValueError("unexpected")])
async def test_a_failed_high_pipeline_is_retried_with_high_priority(error: Exception) -> None:
    order, failures, waiting = list[PipelineKey](), [error], many("waiting", 300)

    def reconcile(key: PipelineKey) -> datetime | None:
        time.sleep(0.01)
        if key == A and failures:
            raise failures.pop()
        order.append(key)
        return None

    async with running(reconcile, workers=2, retry=Backoff(0.02, 0.02)) as queue:
        for key in waiting:
            queue.add(key, after=0)
        queue.add(A, after=0, priority=Priority.HIGH)
        await until("A was reconciled", lambda: A in order)
    assert order.index(A) < 100


async def test_a_high_pipeline_that_goes_on_at_once_keeps_its_priority() -> None:
    """A run that is stopped while it waits takes two reconciliations: one to ask for its end, one to record it."""
    order, waiting = list[PipelineKey](), many("waiting", 300)

    def reconcile(key: PipelineKey) -> datetime | None:
        time.sleep(0.01)
        order.append(key)
        return FakeClock().now() if order.count(A) == 1 and key == A else None

    async with running(reconcile, workers=2) as queue:
        for key in waiting:
            queue.add(key, after=0)
        queue.add(A, after=0, priority=Priority.HIGH)
        await until("A was reconciled twice", lambda: order.count(A) == 2)
    assert len(order) < 100


async def test_one_start_of_four_is_normal_where_both_wait() -> None:
    reconciles = Reconciles()
    high, normal = many("high", 30), many("normal", 30)
    reconciles.gate.clear()
    async with running(reconciles, workers=1) as queue:
        queue.add(A, after=0)
        await until("the worker works", lambda: reconciles.running)
        for each in high:
            queue.add(each, after=0, priority=Priority.HIGH)
        for each in normal:
            queue.add(each, after=0)
        reconciles.gate.set()
        await idle(queue)
    is_normal = [key in normal for key in reconciles.keys[1:]]
    assert is_normal == [*[False, False, False, True] * 10, *[True] * 20]
    assert [key for key in reconciles.keys if key in normal] == normal


def test_a_normal_pipeline_is_reconciled_while_runs_change() -> None:
    """More high requests than the workers can do: without a share of its own a normal one would wait for ever."""
    done, busy = list[PipelineKey](), many("runs", 60)

    def reconcile(key: PipelineKey) -> datetime | None:
        time.sleep(0.02)
        if key == A:
            done.append(key)
        return None

    async def run() -> None:
        async with running(reconcile, workers=2) as queue:
            queue.add(A)

            def is_done() -> bool:
                for key in busy:
                    queue.add(key, after=0, priority=Priority.HIGH)
                return bool(done)

            await until("A was reconciled", is_done, seconds=5)

    asyncio.run(run())


@pytest.mark.parametrize("priority", list(Priority))
async def test_a_superseded_request_is_not_kept_until_its_time(priority: Priority) -> None:
    reconciles = Reconciles()
    async with running(reconciles) as queue:
        queue.add(A, after=0.05, priority=priority)
        for days in range(1000, 0, -1):
            queue.add(B, after=24 * 3600.0 * days, priority=priority)
        assert len(queue._heaps[priority]) < 100
        queue.add(B, after=0.1, priority=priority)
        await until("there were two", lambda: len(reconciles.keys) == 2)
    assert reconciles.keys == [A, B]
