"""How often a lasting problem is logged."""

import logging
from collections.abc import Iterator

import pytest

from ingestion_operator.errors import Forbidden, Unavailable
from ingestion_operator.runtime.problem_log import ProblemLog


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


def test_a_problem_is_logged_once_and_then_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    log = ProblemLog(logging.getLogger("test"), monotonic=time)
    for second in range(125):
        time.now = second
        log.failed("not renewed", Unavailable(f"refused, port {second}", code=503))
    assert caplog.messages == [f"not renewed: refused, port {second}" for second in (0, 60, 120)]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_problem_that_changes_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    log = ProblemLog(logging.getLogger("test"), repeat_seconds=float("inf"))
    for error in (Unavailable("a", code=503), Unavailable("b", code=500), Forbidden("c", code=403)) * 2:
        log.failed("not renewed", error)
        log.failed("not renewed", error)
    assert [message[-1] for message in caplog.messages] == ["a", "b", "c"] * 2


def test_the_end_of_a_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    log = ProblemLog(logging.getLogger("test"))
    log.succeeded("renewed again")
    log.failed("not renewed", Unavailable("away"))
    log.succeeded("renewed again")
    log.succeeded("renewed again")
    assert caplog.messages == ["not renewed: away", "renewed again"]
    log.failed("not renewed", Unavailable("away"))
    assert len(caplog.messages) == 3


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    ProblemLog(logging.getLogger("test")).failed("not renewed", KeyError("metadata"))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "not renewed: unexpected KeyError")
    assert record.exc_info is not None
