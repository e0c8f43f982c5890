"""The port for probes and metrics: it names the part of this process that does not work."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ingestion_operator.controller.http_server import serve_health_and_metrics
from ingestion_operator.errors import OperatorError
from ingestion_operator.runs.jobs import PipelineKey
from ingestion_operator.runtime.health import Health
from testing.reconciles import running
from testing.waiting import until

URL = "http://127.0.0.1:0/healthz"


def _get(port: int, path: str, timeout: float = 5) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ask(path: str, problems: Callable[[], Sequence[str]], metrics: Callable[[], bytes] = bytes) -> tuple[int, bytes]:
    async def run() -> tuple[int, bytes]:
        runner = await serve_health_and_metrics(URL, problems, metrics)
        try:
            return await asyncio.to_thread(_get, runner.addresses[0][1], path)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def test_the_probe_fails_with_what_does_not_work() -> None:
    health, problem = Health(), [""]
    health.check(lambda: problem[0])
    assert ask("/healthz", health.problems)[0] == 200
    problem[0] = "a thread hangs"
    status, body = ask("/healthz", health.problems)
    answer: dict[str, Any] = json.loads(body)
    assert (status, answer["problems"]) == (503, ["a thread hangs"])


def test_metrics_are_on_the_same_port() -> None:
    assert ask("/metrics", list, lambda: b"up 1\n") == (200, b"up 1\n")


@pytest.mark.parametrize("url", ["", "0.0.0.0:8080", "https://0.0.0.0:8080/healthz", "http://0.0.0.0:8080"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match="--liveness"):
        asyncio.run(serve_health_and_metrics(url, list, bytes))


def test_a_blocked_worker_fails_the_probe() -> None:
    gate, entered, health = threading.Event(), threading.Event(), Health()

    def reconcile(_: PipelineKey) -> None:
        entered.set()
        assert gate.wait(10)

    async def run() -> tuple[int, int]:
        async with running(reconcile, heartbeat=health.loop("queue")) as queue:
            health.watch(queue.threads, within=0)
            runner = await serve_health_and_metrics(URL, health.problems, bytes)
            port = runner.addresses[0][1]
            queue.add(PipelineKey("data", "a"), after=0)
            await until("the reconcile is in progress", entered.is_set)
            stuck, _ = await asyncio.to_thread(_get, port, "/healthz")
            gate.set()
            await until("it has ended", lambda: not health.problems())
            well, _ = await asyncio.to_thread(_get, port, "/healthz")
            await runner.cleanup()
        return stuck, well

    assert asyncio.run(asyncio.wait_for(run(), 10)) == (503, 200)


def test_an_event_loop_that_is_blocked_does_not_answer() -> None:
    asked, blocked = threading.Event(), threading.Event()

    async def run() -> None:
        runner = await serve_health_and_metrics(URL, list, bytes)
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

    asyncio.run(run())
