"""The loop that keeps the warm pool full, beside a gateway that serves."""

import logging
import threading
from pathlib import Path

import pytest

from ingestion_operator.errors import Unavailable
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from ingestion_operator.gateway.warm_pool_loop import Warming
from testing.gateway import run_gateway
from testing.waiting import wait_for
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService


class Pool:
    """Counts the looks; the first of `errors` is raised by the next one."""

    def __init__(self, *errors: Exception) -> None:
        self.looks = 0
        self._errors = list(errors)
        self._wanted = threading.Event()

    def keep_full(self) -> None:
        self.looks += 1
        if self._errors:
            raise self._errors.pop(0)

    def wait(self, seconds: float) -> None:
        assert seconds > 1
        self._wanted.wait(10)
        self._wanted.clear()

    def wake(self) -> None:
        self._wanted.set()


def look(pool: Pool) -> None:
    """Let it look once more."""
    before = pool.looks
    pool.wake()
    wait_for("another look", lambda: pool.looks > before, timeout=5)


def test_a_gateway_looks_at_its_pool_from_its_start_to_its_end(
    service: RecordingService, settings: SettingsInForce, credentials_folder: Path
) -> None:
    pool = Pool()
    with run_gateway(Gateway(service, settings.current, Credentials(credentials_folder), warm_pool=pool)):
        wait_for("the first look", lambda: pool.looks == 1, timeout=5)
        look(pool)
    assert "warm-pool" not in [thread.name for thread in threading.enumerate()]


def test_a_fault_is_told_once_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    away = [Unavailable("the API server is away", code=503) for _ in range(2)]
    pool = Pool(*away)
    with caplog.at_level(logging.WARNING):
        warming = Warming(pool)
        wait_for("the first look", lambda: pool.looks == 1, timeout=5)
        look(pool)
        look(pool)
        warming.stop()
    assert [record.message for record in caplog.records] == [
        "The warm pool cannot be looked after: the API server is away"
    ]


def test_a_mistake_in_it_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pool = Pool(ZeroDivisionError("a mistake"))
    warming = Warming(pool)
    wait_for("the first look", lambda: pool.looks == 1, timeout=5)
    look(pool)
    warming.stop()
    assert "ZeroDivisionError" in caplog.text
