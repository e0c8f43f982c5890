"""The operator's time is the API server's, however wrong its own machine is."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ingestion_operator.adapters.kube.server_clock import ServerClock
from testing.fake_clock import FakeClock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("minutes", [5, -5])
def test_a_machine_that_is_minutes_off_reports_the_servers_time(minutes: int) -> None:
    machine = FakeClock(NOW + timedelta(minutes=minutes))
    clock = ServerClock(machine)
    clock.learn(date(NOW), machine.moment)
    machine.forward(seconds=30)
    assert abs(clock.now() - (NOW + timedelta(seconds=30))) <= timedelta(seconds=1)


def test_a_small_difference_changes_nothing() -> None:
    machine = FakeClock(NOW)
    clock = ServerClock(machine)
    asked = machine.now()
    machine.forward(seconds=20)
    for seconds in (-4, 0, 11, 24):
        clock.learn(date(NOW + timedelta(seconds=seconds)), asked)
        assert clock.now() == machine.now()


def test_a_machine_that_was_put_right_is_believed_again() -> None:
    machine = FakeClock(NOW + timedelta(minutes=5))
    clock = ServerClock(machine)
    clock.learn(date(NOW), machine.moment)
    machine.moment = NOW
    clock.learn(date(NOW), machine.moment)
    assert clock.now() == NOW


@pytest.mark.parametrize("header", [None, "", "yesterday", "Sun, 01 Mar 2026 12:00:00 -0000"])
def test_an_answer_without_a_time_teaches_nothing(header: str | None) -> None:
    clock = ServerClock(FakeClock(NOW))
    clock.learn(header, NOW - timedelta(hours=1))
    assert clock.now() == NOW
