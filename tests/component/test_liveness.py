"""The port for probes: it says which part of this process is stuck, and nothing else makes it say so."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ingestion_operator.controllers import main as module
from ingestion_operator.controllers.election import hold, stand_by
from ingestion_operator.runtime.health import CALL_SECONDS, LOOP_SECONDS, Liveness
from ingestion_operator.controller.http_server import serve_management
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.controllers.queue import RefreshQueue
from ingestion_operator.errors import OperatorError, Unavailable
from ingestion_operator.leadership import Leadership
from ingestion_operator.log_lines import about
from ingestion_operator.k8s.objects import PipelineKey
from ingestion_operator.threads import WatchedThreads
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.waiting import wait_for

KEY = PipelineKey("data", "a")


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_does_not_come_round_is_named() -> None:
    time = Time()
    liveness = Liveness(time)
    beat, other = liveness.loop("queue"), liveness.loop("settings")
    time.now += LOOP_SECONDS + 1
    other()
    (problem,) = liveness.problems()
    assert "'queue'" in problem
    beat()
    assert liveness.problems() == []


def test_a_thread_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, threads = threading.Event(), WatchedThreads(1, "refresh")
    work = threads.submit(gate.wait, 10)
    wait_for("the thread to be at work", lambda: threads.longest_seconds() > 0, timeout=5)
    assert module._slowness(threads) == ""
    monkeypatch.setattr(module, "CALL_SECONDS", 0)
    assert "'refresh'" in module._slowness(threads)
    gate.set()
    assert work.result(5)
    assert module._slowness(threads) == ""
    assert CALL_SECONDS > 10 * 75  # a look of ten calls that an API server lets time out three times each
    threads.shutdown()


def test_work_in_a_thread_logs_what_it_is_about() -> None:
    from ingestion_operator.log_lines import _about  # noqa: PLC0415  what a formatter sees there

    threads = WatchedThreads(1, "refresh")
    with about(pipeline="a"):
        assert threads.submit(_about.get).result(5) == {"pipeline": "a"}
    assert threads.submit(_about.get).result(5) == {}
    threads.shutdown()


def test_a_blocked_look_of_the_queue_shows_and_ends() -> None:
    gate, entered = threading.Event(), threading.Event()

    def look(*_: object) -> None:
        entered.set()
        assert gate.wait(10)

    async def scenario() -> None:
        queue = RefreshQueue(look, FakeClock())
        task = asyncio.create_task(queue.run())
        queue.mark(KEY, after=0)
        assert await asyncio.to_thread(entered.wait, 10)
        assert queue.threads.longest_seconds() > 0
        gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # looks that are under way come to their end
        assert queue.threads.longest_seconds() == 0

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_blocked_worker_fails_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0)
    gate, entered, liveness = threading.Event(), threading.Event(), Liveness()

    def look(*_: object) -> None:
        entered.set()
        assert gate.wait(10)

    async def scenario() -> tuple[int, int]:
        queue = RefreshQueue(look, FakeClock(), liveness.loop("queue"))
        liveness.check(lambda: module._slowness(queue.threads))
        task = asyncio.create_task(queue.run())
        runner = await serve_management("http://127.0.0.1:0/healthz", liveness, bytes)
        port = runner.addresses[0][1]
        queue.mark(KEY, after=0)
        assert await asyncio.to_thread(entered.wait, 10)
        stuck, _ = await asyncio.to_thread(_get, port, "/healthz")
        gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # the look comes to its end
        well, _ = await asyncio.to_thread(_get, port, "/healthz")
        await runner.cleanup()
        return stuck, well

    assert asyncio.run(asyncio.wait_for(scenario(), 10)) == (503, 200)


def test_an_event_loop_that_is_blocked_does_not_answer() -> None:
    asked, blocked = threading.Event(), threading.Event()

    async def scenario() -> None:
        runner = await serve_management("http://127.0.0.1:0/healthz", Liveness(), bytes)
        port = runner.addresses[0][1]

        def probe() -> bool:
            assert blocked.wait(10)
            try:
                _get(port, "/healthz", timeout=0.2)
            except OSError:
                return True
            finally:
                asked.set()
            return False

        probing = asyncio.get_running_loop().run_in_executor(None, probe)
        blocked.set()
        assert asked.wait(10)  # in the event loop itself, which so does nothing else
        assert await probing
        assert (await asyncio.to_thread(_get, port, "/healthz"))[0] == 200
        await runner.cleanup()

    asyncio.run(scenario())


def test_an_api_server_that_is_away_stops_no_loop() -> None:
    cluster, clock = FakeCluster(), FakeClock()
    beats: list[int] = []
    cluster.fail("get", Unavailable("away"), times=2)
    leadership = Leadership(cluster, "ops", "a", clock)

    async def scenario() -> None:
        await stand_by(leadership, lambda: beats.append(1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion_operator.controllers.election.RETRY_SECONDS", 0.001)
        asyncio.run(asyncio.wait_for(scenario(), 10))
    assert len(beats) == 3
    assert leadership.may_write


def test_a_taking_over_that_failed_is_told_and_one_that_is_done_or_under_way_is_not() -> None:
    async def play(outcome: Exception | None, *, wait: bool) -> bool:
        async def taking_over() -> None:
            if outcome is not None:
                raise outcome

        task = asyncio.create_task(taking_over())
        if wait:
            await asyncio.wait([task])
        failed = module._has_failed(task)
        await asyncio.gather(task, return_exceptions=True)
        return failed

    assert asyncio.run(play(RuntimeError("lost"), wait=True))
    assert not asyncio.run(play(None, wait=True))
    assert not asyncio.run(play(RuntimeError("later"), wait=False))


def test_a_replica_that_was_replaced_ends() -> None:
    cluster, clock = FakeCluster(), FakeClock()
    ended: list[int] = []
    first, second = Leadership(cluster, "ops", "a", clock), Leadership(cluster, "ops", "b", clock, Time())
    assert first.attempt()
    first.release()
    assert second.attempt()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingestion_operator.controllers.election.RENEW_SECONDS", 0.001)
        asyncio.run(asyncio.wait_for(hold(first, lambda: None, lambda: ended.append(1)), 10))
    assert ended == [1]


def _get(port: int, path: str, timeout: float = 5) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ask(path: str, liveness: Liveness, metrics: Callable[[], bytes]) -> tuple[int, bytes]:
    async def scenario() -> tuple[int, bytes]:
        runner = await serve_management("http://127.0.0.1:0/healthz", liveness, metrics)
        try:
            return await asyncio.to_thread(_get, runner.addresses[0][1], path)
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def test_the_probe_fails_with_what_is_stuck() -> None:
    liveness, problem = Liveness(), [""]
    liveness.check(lambda: problem[0])
    assert ask("/healthz", liveness, bytes)[0] == 200
    problem[0] = "a thread hangs"
    status, body = ask("/healthz", liveness, bytes)
    told: dict[str, Any] = json.loads(body)
    assert (status, told["problems"]) == (503, ["a thread hangs"])


def test_metrics_are_on_the_same_port() -> None:
    status, body = ask("/metrics", Liveness(), OperatorMetrics().text)
    assert status == 200
    assert b"ingestion_operator_build_info{" in body


@pytest.mark.parametrize("url", ["", "0.0.0.0:8080", "https://0.0.0.0:8080/healthz", "http://0.0.0.0:8080"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match="--liveness"):
        asyncio.run(serve_management(url, Liveness(), bytes))
