"""The work queue: coalescing, one worker per pipeline, bounded, retries without end."""

import asyncio
import json
import logging
import threading
from datetime import datetime, timedelta
from functools import partial

import pytest

from ingestion_operator.errors import Conflict, Unavailable
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.backoff import Backoff
from ingestion_operator.runtime.json_logging import JsonLines
from ingestion_operator.runtime.workqueue import WORKERS, WorkQueue
from testing.fake_clock import FakeClock
from testing.objects import NOW
from testing.reconciles import BOUND_SECONDS, Reconciles, idle, running
from testing.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

A, B = PipelineKey("data", "a"), PipelineKey("data", "b")
LONG = Backoff(1000.0, 1000.0)


class Counts:
    """Implements QueueObserver."""

    def __init__(self) -> None:
        self.adds = self.retries = 0
        self.waits: list[float] = []
        self.durations: list[float] = []

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def started(self, waited: float) -> None:
        self.waits.append(waited)

    def finished(self, worked: float) -> None:
        self.durations.append(worked)


async def test_many_requests_before_a_reconcile_are_one() -> None:
    reconciles = Reconciles()
    async with running(reconciles) as queue:
        for _ in range(1000):
            queue.add(A)
        queue.add(B)
        await idle(queue)
    assert sorted(reconciles.keys) == [A, B]


async def test_requests_during_a_reconcile_are_one_after_it() -> None:
    reconciles = Reconciles()
    reconciles.gate.clear()
    async with running(reconciles) as queue:
        queue.add(A)
        await until("a reconcile is in progress", lambda: reconciles.running)
        for _ in range(100):
            queue.add(A, after=0)
        await asyncio.sleep(0.1)  # time in which a second one could start
        assert reconciles.keys == [A]
        assert (queue.depth, queue.processing) == (0, 1)
        reconciles.gate.set()
        await until("there were two", lambda: len(reconciles.keys) == 2)
        await idle(queue)
    assert reconciles.keys == [A, A]
    assert reconciles.most == 1


async def test_a_later_request_during_a_reconcile_waits_for_its_time() -> None:
    reconciles = Reconciles()
    reconciles.gate.clear()
    async with running(reconciles) as queue:
        queue.add(A)
        await until("a reconcile is in progress", lambda: reconciles.running)
        queue.add(A, after=0.3)
        reconciles.gate.set()
        await until("there were two", lambda: len(reconciles.keys) == 2)
    assert reconciles.times[1] - reconciles.times[0] >= 0.3


async def test_a_bounded_number_of_workers_reconciles() -> None:
    reconciles = Reconciles()
    reconciles.gate.clear()
    keys = [PipelineKey("data", f"p{number:03}") for number in range(50)]
    async with running(reconciles) as queue:
        for key in keys:
            queue.add(key)
        await until("every worker works", lambda: reconciles.running == WORKERS)
        await asyncio.sleep(0.05)  # time in which one too many could start
        assert (queue.depth, queue.processing) == (len(keys) - WORKERS, WORKERS)
        reconciles.gate.set()
        await idle(queue)
    assert reconciles.most == WORKERS
    assert sorted(reconciles.keys) == keys


async def test_a_slow_pipeline_does_not_hold_up_the_others() -> None:
    reconciles, slow = Reconciles(), threading.Event()

    def reconcile(key: PipelineKey) -> datetime | None:
        if key == A:
            assert slow.wait(BOUND_SECONDS)
        return reconciles(key)

    def has_count(number: int) -> bool:
        return len(reconciles.keys) == number

    async with running(reconcile) as queue:
        queue.add(A)
        for number in range(1, 4):
            queue.add(B)
            await until("B was reconciled", partial(has_count, number))
        assert reconciles.keys == [B, B, B]
        slow.set()
        await idle(queue)
    assert reconciles.keys[-1] == A


async def test_requests_from_any_thread_and_before_the_start_count() -> None:
    reconciles = Reconciles()
    queue = WorkQueue(reconciles, FakeClock())
    queue.add(A, after=0)
    dispatch = asyncio.create_task(queue.run())
    await until("A was reconciled", lambda: reconciles.keys == [A])
    thread = threading.Thread(target=queue.add, args=(B,), kwargs={"after": 0})
    thread.start()
    await until("B was reconciled", lambda: reconciles.keys == [A, B], seconds=5)
    thread.join()
    assert await queue.shutdown(BOUND_SECONDS)
    await dispatch


async def test_a_failing_reconcile_is_retried_with_growing_delays() -> None:
    reconciles, counts = Reconciles(), Counts()
    reconciles.answers = [Unavailable("away")] * 4
    async with running(reconciles, observer=counts) as queue:
        queue.add(A)
        await until("there were five", lambda: len(reconciles.keys) == 5)
        await idle(queue)
        assert queue._failures == {}
    delays = [later - sooner for sooner, later in zip(reconciles.times, reconciles.times[1:], strict=False)]
    for number, delay in enumerate(delays):
        assert delay >= 0.05 * 2**number * 0.5
    assert delays[3] > delays[0]
    assert counts.retries == 4


@pytest.mark.parametrize("error", [ValueError("surprise"), SystemExit(1)])
async def test_an_unexpected_error_is_logged_with_traceback(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    reconciles = Reconciles()
    reconciles.answers = [error]
    async with running(reconciles) as queue:
        queue.add(A)
        await until("there were two", lambda: len(reconciles.keys) == 2)
        await idle(queue)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"Pipeline data/a: unexpected {type(error).__name__}; next attempt in" in record.getMessage()
    assert record.exc_info is not None


def test_lines_of_a_reconcile_name_its_pipeline() -> None:
    lines = list[dict[str, str]]()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    logger, handler = logging.getLogger("ingestion_operator"), Lines()
    failures = iter([Unavailable("away")])

    def reconcile(_: PipelineKey) -> None:
        logging.getLogger("ingestion_operator.test").warning("working")
        for failure in failures:
            raise failure

    async def run() -> None:
        async with running(reconcile) as queue:
            queue.add(A)
            await until("it was retried", lambda: [line["message"] for line in lines].count("working") == 2)

    logger.addHandler(handler)
    try:
        asyncio.run(run())
    finally:
        logger.removeHandler(handler)
    assert "Pipeline data/a: away; next attempt in" in lines[1]["message"]
    assert lines[1]["level"] == "WARNING"
    assert {(line["namespace"], line["pipeline"]) for line in lines} == {("data", "a")}


async def test_a_first_conflict_is_retried_soon_and_quietly(caplog: pytest.LogCaptureFixture) -> None:
    reconciles = Reconciles()
    reconciles.answers = [Conflict("changed meanwhile")]
    async with running(reconciles, retry=LONG) as queue:
        queue.add(A)
        await until("there were two", lambda: len(reconciles.keys) == 2)
        await idle(queue)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_delay_after_failures_is_bounded() -> None:
    reconciles = Reconciles()
    reconciles.answers = [Unavailable("away")] * 30
    async with running(reconciles, retry=Backoff(0.05, 0.05)) as queue:
        queue.add(A)
        await until("it was reconciled once more than it failed", lambda: len(reconciles.keys) == 31)


async def test_a_request_does_not_wait_for_a_pending_retry() -> None:
    reconciles = Reconciles()
    reconciles.answers = [Unavailable("away")]
    async with running(reconciles, retry=LONG) as queue:
        queue.add(A)
        await until("a reconcile has failed", lambda: queue._failures and not queue.processing)
        queue.add(A)
        await until("there were two", lambda: len(reconciles.keys) == 2)
        await idle(queue)


async def test_a_reconcile_requeues_at_its_time_and_not_before() -> None:
    clock, reconciles = FakeClock(NOW), Reconciles()
    reconciles.answers = [NOW + timedelta(seconds=0.3)]
    async with running(reconciles, clock) as queue:
        queue.add(A)
        await until("there were two", lambda: len(reconciles.keys) == 2)
        await idle(queue)
    assert reconciles.times[1] - reconciles.times[0] >= 0.3


async def test_a_requeue_in_the_past_is_not_a_hot_loop() -> None:
    reconciles = Reconciles()
    reconciles.answers = [NOW - timedelta(days=1)] * 3
    async with running(reconciles, FakeClock(NOW)) as queue:
        queue.add(A)
        await until("there were four", lambda: len(reconciles.keys) == 4)
    assert reconciles.times[3] - reconciles.times[0] >= 0.03


async def test_a_request_comes_before_a_much_later_requeue() -> None:
    reconciles = Reconciles()
    reconciles.answers = [NOW + timedelta(days=365)]
    async with running(reconciles, FakeClock(NOW)) as queue:
        queue.add(A)
        await until("the first is over", lambda: queue._requests and not queue.processing and reconciles.keys)
        assert queue.depth == 0
        queue.add(A)
        await until("there were two", lambda: len(reconciles.keys) == 2)


async def test_a_forgotten_pipeline_leaves_nothing_behind() -> None:
    reconciles = Reconciles()
    async with running(reconciles) as queue:
        queue.add(A, after=0.05)
        queue.add(B, after=0.1)
        queue.forget(A)
        await until("there was a reconcile", lambda: reconciles.keys)
        await idle(queue)
        assert queue._failures == {}
    assert reconciles.keys == [B]


@pytest.mark.parametrize("answer", [Unavailable("gone"), NOW])
async def test_a_pipeline_forgotten_in_a_reconcile_is_not_retried(answer: Exception | datetime) -> None:
    reconciles = Reconciles()
    reconciles.answers = [answer]
    reconciles.gate.clear()
    async with running(reconciles, FakeClock(NOW)) as queue:
        queue.add(A)
        await until("a reconcile is in progress", lambda: reconciles.running)
        queue.forget(A)
        reconciles.gate.set()
        await until("the reconcile has ended", lambda: not queue.processing)
        assert (queue._requests, queue._failures) == ({}, {})
    assert reconciles.keys == [A]


async def test_a_pipeline_created_again_in_a_reconcile_is_requeued() -> None:
    reconciles = Reconciles()
    reconciles.gate.clear()
    async with running(reconciles) as queue:
        queue.add(A)
        await until("a reconcile is in progress", lambda: reconciles.running)
        queue.forget(A)
        queue.add(A)
        reconciles.gate.set()
        await until("there were two", lambda: len(reconciles.keys) == 2)


async def test_observers_count_what_the_usual_metrics_mean() -> None:
    reconciles, counts = Reconciles(), Counts()
    reconciles.gate.clear()
    async with running(reconciles, observer=counts, workers=1) as queue:
        queue.add(A, after=0)
        await until("a reconcile is in progress", lambda: reconciles.running)
        for _ in range(3):
            queue.add(A, after=0)
            queue.add(B, after=0)
        await asyncio.sleep(0.1)  # so long B waits
        reconciles.gate.set()
        await idle(queue)
    assert (counts.adds, counts.retries) == (3, 0)
    assert counts.waits[0] < 0.1 <= max(counts.waits)
    assert counts.durations[0] >= 0.1
    assert len(counts.waits) == len(counts.durations) == 3
