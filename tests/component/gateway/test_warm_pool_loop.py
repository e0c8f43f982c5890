"""The loop that keeps the warm pool full, beside a gateway that serves."""

import logging
import threading
from pathlib import Path

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from ingestion_operator.gateway.warm_pool_loop import WarmPoolLoop
from testing.gateway import run_gateway
from testing.waiting import wait_for
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService


class Pool:
    """Counts the calls; the next call raises the first of `errors`."""

    def __init__(self, *errors: Exception) -> None:
        self.calls = 0
        self._errors = list(errors)
        self._wanted = threading.Event()

    def keep_full(self) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)

    def wait(self, seconds: float) -> None:
        assert seconds > 1
        self._wanted.wait(10)
        self._wanted.clear()

    def wake(self) -> None:
        self._wanted.set()


def call_again(pool: Pool) -> None:
    """Let the loop call it once more."""
    before = pool.calls
    pool.wake()
    wait_for("another call", lambda: pool.calls > before, timeout=5)


def test_a_gateway_maintains_its_pool_while_it_runs(
    service: RecordingService, settings: SettingsInForce, credentials_folder: Path
) -> None:
    pool = Pool()
    with run_gateway(Gateway(service, settings.current, Credentials(credentials_folder), warm_pool=pool)):
        wait_for("the first call", lambda: pool.calls == 1, timeout=5)
        call_again(pool)
    assert "warm-pool" not in [thread.name for thread in threading.enumerate()]


def test_a_fault_is_reported_once_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    away = [Unavailable("the API server is away", code=503) for _ in range(2)]
    pool = Pool(*away)
    with caplog.at_level(logging.WARNING):
        warming = WarmPoolLoop(pool)
        wait_for("the first call", lambda: pool.calls == 1, timeout=5)
        call_again(pool)
        call_again(pool)
        warming.stop()
    assert [record.message for record in caplog.records] == ["The warm pool was not maintained: the API server is away"]


def test_a_mistake_in_it_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(ZeroDivisionError("a mistake"))
    warming = WarmPoolLoop(pool)
    wait_for("the first call", lambda: pool.calls == 1, timeout=5)
    call_again(pool)
    warming.stop()
    assert "ZeroDivisionError" in caplog.text
