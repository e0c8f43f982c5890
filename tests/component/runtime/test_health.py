"""Which part of this process does not work: loops, threads and tasks, each named."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.health import CALL_SECONDS, LOOP_SECONDS, Health, TaskSupervisor
from ingestion_operator.runtime.json_logging import log_context
from ingestion_operator.runtime.thread_pool import MonitoredThreadPool
from testing.reconciles import running
from testing.waiting import until, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def endless() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise KeyError("lease")


async def brief() -> None:
    """Return at once."""


def test_a_loop_that_does_not_come_round_is_named() -> None:
    time = Time()
    health = Health(time)
    heartbeat, other = health.loop("queue"), health.loop("settings")
    time.now += LOOP_SECONDS
    assert health.problems() == []
    time.now += 1
    other()
    assert health.problems() == ["the loop 'queue' has had no heartbeat for 61 s"]
    heartbeat()
    assert health.problems() == []


def test_a_loop_may_have_a_bound_of_its_own() -> None:
    time = Time()
    health = Health(time)
    health.loop("archive", within=300)
    time.now += 300
    assert health.problems() == []
    time.now += 1
    assert len(health.problems()) == 1


def test_a_check_is_included_while_it_finds_something() -> None:
    health, found = Health(), [""]
    health.check(lambda: found[0])
    assert health.problems() == []
    found[0] = "the disk is full"
    assert health.problems() == ["the disk is full"]


def test_a_thread_that_hangs_is_named() -> None:
    gate, threads, health, patient = threading.Event(), MonitoredThreadPool(1, "reconcile"), Health(), Health()
    health.watch(threads, within=0)
    patient.watch(threads)
    assert health.problems() == []
    work = threads.submit(gate.wait, 10)
    wait_for("the thread works", lambda: threads.longest_seconds() > 0, timeout=5)
    assert health.problems() == ["a thread of 'reconcile' has been busy with one call for 0 s"]
    assert patient.problems() == []
    gate.set()
    assert work.result(5)
    threads.shutdown()
    assert health.problems() == []


def test_a_thread_may_take_as_long_as_its_calls() -> None:
    assert CALL_SECONDS > 10 * 75  # a reconcile of ten calls that an API server lets time out three times each


def test_work_in_a_thread_has_the_log_fields_of_its_submitter() -> None:
    from ingestion_operator.runtime.json_logging import _context  # noqa: PLC0415  what a formatter reads there

    threads = MonitoredThreadPool(1, "reconcile")
    with log_context(pipeline="a"):
        assert threads.submit(_context.get).result(5) == {"pipeline": "a"}
    assert threads.submit(_context.get).result(5) == {}
    threads.shutdown()


async def test_a_reconcile_that_hangs_is_named_until_it_ends() -> None:
    gate, entered, health = threading.Event(), threading.Event(), Health()

    def reconcile(_: PipelineKey) -> None:
        entered.set()
        assert gate.wait(10)

    async with running(reconcile, heartbeat=health.loop("queue")) as queue:
        health.watch(queue.threads, within=0)
        queue.add(PipelineKey("data", "a"), after=0)
        await until("the reconcile is in progress", entered.is_set)
        assert len(health.problems()) == 1
        gate.set()
        await until("it has ended", lambda: health.problems() == [])


def supervised(work: Callable[[TaskSupervisor], object], health: Health) -> list[str]:
    """Let tasks start, run for a moment and be stopped; return the problems of then and the names of who works on."""

    async def run() -> list[str]:
        supervisor = TaskSupervisor(health)
        work(supervisor)
        for _ in range(3):
            await asyncio.sleep(0)
        found = health.problems()
        return found + await supervisor.stop(10)

    return asyncio.run(run())


def test_a_task_that_fails_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()

    def work(supervisor: TaskSupervisor) -> None:
        supervisor.start("settings", endless())
        supervisor.start("servers", broken())

    assert supervised(work, health) == ["the task 'servers' ended with KeyError"]
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "The task 'servers' ended with KeyError")
    assert "KeyError: 'lease'" in caplog.text
    assert "in broken" in caplog.text
    assert health.problems() == ["the task 'servers' ended with KeyError"]  # also after the others were stopped


def test_a_task_that_just_ends_is_a_problem_unless_it_may() -> None:
    assert supervised(lambda tasks: tasks.start("queue", brief()), Health()) == ["the task 'queue' has ended"]
    assert supervised(lambda tasks: tasks.start("sync", brief(), may_end=True), Health()) == []


@pytest.mark.parametrize("may_end", [True, False])
def test_a_task_that_others_cancel_is_a_problem(may_end: bool) -> None:
    def work(supervisor: TaskSupervisor) -> None:
        supervisor.start("queue", endless(), may_end=may_end).cancel()

    assert supervised(work, Health()) == ["the task 'queue' was cancelled"]


def test_tasks_that_are_stopped_are_not_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()
    with caplog.at_level(logging.DEBUG, "ingestion_operator"):
        assert supervised(lambda tasks: tasks.start("queue", endless()), health) == []
    assert health.problems() == []
    assert caplog.records == []


async def test_a_task_that_does_not_stop_in_time_is_named() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        try:
            await endless()
        finally:
            await release.wait()

    supervisor = TaskSupervisor(Health())
    supervisor.start("archive", stubborn())
    supervisor.start("settings", endless())
    await asyncio.sleep(0)
    assert await supervisor.stop(0.05) == ["archive"]
    release.set()
    assert await supervisor.stop(10) == []


def test_two_tasks_cannot_have_one_name() -> None:
    def work(supervisor: TaskSupervisor) -> None:
        supervisor.start("queue", endless())
        with pytest.raises(ValueError, match="'queue' exists already"):
            supervisor.start("queue", endless())

    assert supervised(work, Health()) == []


def test_without_tasks_there_is_nothing_to_stop() -> None:
    assert supervised(lambda _: None, Health()) == []
