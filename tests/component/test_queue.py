"""The queue: once per pipeline however many marks, one look at a time each, bounded, and never giving up."""

import asyncio
import threading
from datetime import datetime, timedelta

import pytest

from ingestion_operator.controllers import queue as module
from ingestion_operator.controllers.queue import WORKERS, RefreshQueue
from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.k8s.objects import PipelineKey
from tests.support.fake_clock import FakeClock
from tests.support.looks import BOUND_SECONDS, Looks, running
from tests.support.objects import NOW, Body, pod
from tests.support.waiting import until

A, B = PipelineKey("data", "a"), PipelineKey("data", "b")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses a tenth as long, so that the tests wait less."""
    monkeypatch.setattr(module, "_SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_FIRST_RETRY_SECONDS", 0.05)


async def idle(queue: RefreshQueue) -> None:
    """Wait until nothing is due or under way."""
    await until("nothing is due or under way", lambda: not queue._busy and not queue._due)


def test_many_marks_before_a_look_are_one_look() -> None:
    looks = Looks()

    async def scene() -> None:
        async with running(looks) as queue:
            for _ in range(1000):
                queue.mark(A)
            queue.mark(B)
            await idle(queue)

    asyncio.run(scene())
    assert sorted(looks.keys) == [A, B]


def test_marks_during_a_look_are_one_more_look_after_it() -> None:
    looks = Looks()
    looks.gate.clear()

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("a look is under way", lambda: looks.running)
            for _ in range(100):
                queue.mark(A, after=0.01)
            await asyncio.sleep(0.1)  # time in which a second look could start
            assert looks.keys == [A]
            looks.gate.set()
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())
    assert looks.keys == [A, A]
    assert looks.most == 1


def test_different_pipelines_are_looked_at_side_by_side_by_a_bounded_number_of_workers() -> None:
    looks = Looks()
    looks.gate.clear()
    keys = [PipelineKey("data", f"p{number:03}") for number in range(50)]

    async def scene() -> None:
        async with running(looks) as queue:
            for key in keys:
                queue.mark(key)
            await until("every worker looks", lambda: looks.running == WORKERS)
            await asyncio.sleep(0.05)  # time in which one too many could start
            assert looks.running == WORKERS
            looks.gate.set()
            await idle(queue)

    asyncio.run(scene())
    assert looks.most == WORKERS
    assert sorted(looks.keys) == keys


def test_a_slow_pipeline_does_not_hold_up_the_others() -> None:
    looks = Looks()
    slow = threading.Event()

    def look(key: PipelineKey, pods: list[Body]) -> datetime | None:
        if key == A:
            assert slow.wait(BOUND_SECONDS)
        return looks(key, pods)

    async def scene() -> None:
        async with running(look) as queue:
            queue.mark(A)
            for _ in range(3):
                queue.mark(B)
                await until("nothing is due", lambda: not queue._due)
                await until("B was looked at", lambda: B not in queue._busy)
            assert looks.keys == [B, B, B]
            slow.set()
            await idle(queue)

    asyncio.run(scene())
    assert looks.keys[-1] == A


def test_pods_seen_by_the_watch_are_handed_over_once_each_as_last_seen() -> None:
    looks = Looks()
    early, late, other = pod("p", running=True), pod("p", exit_code=0), pod("q")

    async def scene() -> None:
        async with running(looks) as queue:
            for seen in (early, other, late):
                queue.mark(A, pod=seen)
            await idle(queue)
            queue.mark(A)
            await idle(queue)

    asyncio.run(scene())
    assert looks.seen == [(A, [late, other]), (A, [])]


def test_pods_of_a_failed_look_are_handed_over_again_but_not_over_newer_ones() -> None:
    looks = Looks()
    looks.answers = [Unavailable("away")]
    looks.gate.clear()
    early, late, other = pod("p", running=True), pod("p", exit_code=0), pod("q")

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A, pod=early)
            queue.mark(A, pod=other)
            await until("a look is under way", lambda: looks.running)
            queue.mark(A, pod=late)
            looks.gate.set()
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())
    assert looks.seen[1] == (A, [late, other])


def test_a_failing_look_is_repeated_with_growing_pauses_until_it_succeeds() -> None:
    looks = Looks()
    looks.answers = [Unavailable("away")] * 4

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("there were five looks", lambda: len(looks.seen) == 5)
            await idle(queue)
            assert queue._failures == {}

    asyncio.run(scene())
    pauses = [later - sooner for sooner, later in zip(looks.times, looks.times[1:], strict=False)]
    for number, pause in enumerate(pauses):
        assert pause >= 0.05 * 2**number * 0.5
    assert pauses[3] > pauses[0]


def test_an_error_that_nobody_expected_is_repeated_too_and_logged_with_its_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = Looks()
    looks.answers = [ValueError("surprise")]

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "Pipeline data/a: unexpected ValueError" in record.getMessage()
    assert record.exc_info is not None


def test_a_first_conflict_is_repeated_at_once_and_quietly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_FIRST_RETRY_SECONDS", 1000.0)
    looks = Looks()
    looks.answers = [Conflict("changed meanwhile")]

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())
    assert [record for record in caplog.records if record.levelno > 20] == []


def test_the_pause_after_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LAST_RETRY_SECONDS", 0.05)
    looks = Looks()
    looks.answers = [Unavailable("away")] * 30

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("it was looked at once more than it failed", lambda: len(looks.seen) == 31)

    asyncio.run(scene())


def test_a_mark_during_the_pause_of_a_failed_look_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_RETRY_SECONDS", 1000.0)
    looks = Looks()
    looks.answers = [Unavailable("away")]

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A)
            await until("a look has failed", lambda: queue._failures)
            queue.mark(A)
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())


def test_a_look_that_asks_for_another_gets_it_when_its_time_has_come_and_not_before() -> None:
    clock, looks = FakeClock(NOW), Looks()
    looks.answers = [NOW + timedelta(seconds=0.3)]

    async def scene() -> None:
        async with running(looks, clock) as queue:
            queue.mark(A)
            await until("there were two looks", lambda: len(looks.seen) == 2)
            await idle(queue)

    asyncio.run(scene())
    assert looks.times[1] - looks.times[0] >= 0.3


def test_a_look_wanted_in_the_past_is_not_repeated_in_a_hot_loop() -> None:
    looks = Looks()
    looks.answers = [NOW - timedelta(days=1)] * 3

    async def scene() -> None:
        async with running(looks, FakeClock(NOW)) as queue:
            queue.mark(A)
            await until("there were four looks", lambda: len(looks.seen) == 4)

    asyncio.run(scene())
    assert looks.times[3] - looks.times[0] >= 0.03


def test_a_mark_comes_before_a_look_that_is_due_much_later() -> None:
    looks = Looks()
    looks.answers = [NOW + timedelta(days=365)]

    async def scene() -> None:
        async with running(looks, FakeClock(NOW)) as queue:
            queue.mark(A)
            await until("the first look is over", lambda: looks.seen and queue._due and not queue._busy)
            queue.mark(A)
            await until("there were two looks", lambda: len(looks.seen) == 2)

    asyncio.run(scene())


def test_a_pipeline_that_is_gone_is_forgotten_with_all_that_was_due() -> None:
    looks = Looks()

    async def scene() -> None:
        async with running(looks) as queue:
            queue.mark(A, pod=pod(), after=0.05)
            queue.mark(B, after=0.1)
            queue.forget(A)
            await until("there was a look", lambda: looks.seen)
            assert dict(queue._pods) == {}
            await idle(queue)

    asyncio.run(scene())
    assert looks.keys == [B]


def test_stopping_waits_for_the_looks_that_are_under_way_and_starts_no_other() -> None:
    looks = Looks()
    looks.gate.clear()

    async def scene() -> None:
        queue = RefreshQueue(looks, FakeClock())
        worker = asyncio.create_task(queue.run())
        queue.mark(A)
        await until("a look is under way", lambda: looks.running)
        queue.mark(B, after=0.2)
        worker.cancel()
        await asyncio.sleep(0.05)
        assert not worker.done()
        looks.gate.set()
        await asyncio.wait([worker], timeout=BOUND_SECONDS)
        assert worker.cancelled()

    asyncio.run(scene())
    assert (looks.keys, looks.running) == ([A], 0)
