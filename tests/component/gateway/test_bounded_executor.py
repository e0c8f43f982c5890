"""Calls in threads, each bounded in time."""

import asyncio
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.gateway.bounded_executor import BoundedExecutor
from testing.waiting import wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def work(gate: threading.Event) -> Iterator[BoundedExecutor]:
    small = BoundedExecutor(threads=1, open_limit=2)
    yield small
    gate.set()
    small.close()


async def test_a_call_returns_and_raises_as_its_function(work: BoundedExecutor) -> None:
    assert await work.run(lambda: 7, seconds=5) == 7
    with pytest.raises(ZeroDivisionError):
        await work.run(partial(divmod, 1, 0), seconds=5)


async def test_after_its_bound_only_a_started_call_continues(work: BoundedExecutor, gate: threading.Event) -> None:
    ended: list[str] = []

    def slow() -> None:
        gate.wait(30)
        ended.append("slow")

    slow_one = asyncio.create_task(work.run(slow, seconds=0.2))
    late_one = asyncio.create_task(work.run(lambda: ended.append("late"), seconds=0.2))
    results = await asyncio.gather(slow_one, late_one, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    gate.set()
    assert await work.run(lambda: "again", seconds=5) == "again"
    assert ended == ["slow"]


async def test_calls_above_the_limit_are_refused_at_once(work: BoundedExecutor, gate: threading.Event) -> None:
    open_ones = [asyncio.create_task(work.run(lambda: gate.wait(30), seconds=30)) for _ in range(2)]
    await asyncio.sleep(0)
    begin = time.monotonic()
    with pytest.raises(Unavailable, match="2 calls are open"):
        await work.run(lambda: True, seconds=30)
    assert time.monotonic() - begin < 1
    gate.set()
    assert await asyncio.gather(*open_ones) == [True, True]
    assert await work.run(lambda: True, seconds=5)


async def test_closing_waits_for_what_has_begun(gate: threading.Event) -> None:
    one = BoundedExecutor(threads=1)
    with pytest.raises(Unavailable):
        await one.run(lambda: gate.wait(30), seconds=0.1)
    closing = threading.Thread(target=one.close)
    closing.start()
    assert closing.is_alive()
    gate.set()
    wait_for("the end", lambda: not closing.is_alive(), timeout=5)
