"""The queue's orderly end: what is in progress in threads counts until it has really ended."""

import asyncio
import threading
from datetime import datetime

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.workqueue import WorkQueue
from testing.fake_clock import FakeClock
from testing.reconciles import BOUND_SECONDS, Reconciles
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

A, B = PipelineKey("data", "a"), PipelineKey("data", "b")


async def _started(queue: WorkQueue, reconciles: Reconciles) -> "asyncio.Task[None]":
    """Let a reconcile be in progress that ends when the gate opens."""
    reconciles.gate.clear()
    dispatch = asyncio.create_task(queue.run())
    queue.add(A, after=0)
    await until("a reconcile is in progress", lambda: reconciles.running)
    return dispatch


async def test_shutdown_waits_for_what_is_in_progress() -> None:
    reconciles = Reconciles()
    queue = WorkQueue(reconciles, FakeClock())
    dispatch = await _started(queue, reconciles)
    queue.add(B, after=0.05)
    end = asyncio.create_task(queue.shutdown(BOUND_SECONDS))
    await asyncio.sleep(0.1)  # time in which B could start
    assert not end.done()
    queue.add(B, after=0)
    reconciles.gate.set()
    assert await end
    await asyncio.wait_for(dispatch, BOUND_SECONDS)
    assert queue.processing == 0
    assert (reconciles.keys, reconciles.running) == ([A], 0)


async def test_shutdown_waits_for_the_last_one() -> None:
    reconciles, quick = Reconciles(), threading.Event()

    def reconcile(key: PipelineKey) -> datetime | None:
        if key == B:
            assert quick.wait(BOUND_SECONDS)
            return None
        return reconciles(key)

    queue = WorkQueue(reconcile, FakeClock())
    await _started(queue, reconciles)
    queue.add(B, after=0)
    await until("both are in progress", lambda: queue.processing == 2)
    end = asyncio.create_task(queue.shutdown(BOUND_SECONDS))
    await asyncio.sleep(0)
    quick.set()
    await until("one has ended", lambda: queue.processing == 1)
    await asyncio.sleep(0.05)  # time in which the shutdown could end too early
    assert not end.done()
    reconciles.gate.set()
    assert await end


async def test_a_failure_during_the_shutdown_is_not_retried() -> None:
    reconciles = Reconciles()
    reconciles.answers = [Unavailable("away")]
    queue = WorkQueue(reconciles, FakeClock())
    dispatch = await _started(queue, reconciles)
    end = asyncio.create_task(queue.shutdown(BOUND_SECONDS))
    await until("the dispatch has ended", dispatch.done)
    reconciles.gate.set()
    assert await end
    assert queue._requests == {}
    assert reconciles.keys == [A]


async def test_shutdown_of_an_idle_queue_is_immediate() -> None:
    queue = WorkQueue(Reconciles(), FakeClock())
    dispatch = asyncio.create_task(queue.run())
    queue.add(A, after=1000)
    await asyncio.sleep(0)
    assert await asyncio.wait_for(queue.shutdown(1000), BOUND_SECONDS)
    await asyncio.wait_for(dispatch, BOUND_SECONDS)


async def test_shutdown_reports_what_has_not_ended_in_time() -> None:
    reconciles = Reconciles()
    queue = WorkQueue(reconciles, FakeClock())
    await _started(queue, reconciles)
    assert not await queue.shutdown(0.05)
    assert queue.processing == 1
    reconciles.gate.set()
    assert await queue.shutdown(BOUND_SECONDS)


async def test_cancelled_tasks_do_not_make_threads_appear_idle() -> None:
    """As kopf ends: it cancels every task that was created after its start."""
    reconciles = Reconciles()
    before = asyncio.all_tasks()
    queue = WorkQueue(reconciles, FakeClock())
    dispatch = await _started(queue, reconciles)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.wait([dispatch], timeout=BOUND_SECONDS)
    assert dispatch.cancelled()
    assert queue.processing == 1
    end = asyncio.create_task(queue.shutdown(BOUND_SECONDS))
    await asyncio.sleep(0.05)  # time in which it could end too early
    assert not end.done()
    reconciles.gate.set()
    assert await end
    assert reconciles.running == 0


def test_a_thread_may_end_after_its_event_loop() -> None:
    reconciles = Reconciles()

    async def run() -> WorkQueue:
        queue = WorkQueue(reconciles, FakeClock())
        await _started(queue, reconciles)
        assert not await queue.shutdown(0)
        return queue

    queue = asyncio.run(run())
    reconciles.gate.set()
    queue.threads.shutdown(wait=True)
    queue.add(B)  # as another thread may, which does not know of the end
    assert (queue.processing, queue.depth) == (0, 0)
