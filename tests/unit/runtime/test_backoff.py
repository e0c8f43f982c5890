"""Delays between retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.runtime.backoff import Backoff

SECONDS = st.floats(0.001, 1000)


@given(SECONDS, SECONDS, st.floats(0, 0.99), st.integers(1, 100_000))
def test_every_delay_is_within_its_bounds(a: float, b: float, jitter: float, failures: int) -> None:
    backoff = Backoff(min(a, b), max(a, b), jitter)
    assert backoff.first * (1 - jitter) * 0.999 <= backoff.delay(failures) <= backoff.last


def test_delays_double_up_to_the_last_one() -> None:
    backoff = Backoff(0.5, 60.0, jitter=0)
    assert [backoff.delay(failures) for failures in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_delays_of_several_differ() -> None:
    assert len({Backoff(1, 1).delay(1) for _ in range(20)}) > 1


@pytest.mark.parametrize(("first", "last", "jitter"), [(0, 1, 0.5), (2, 1, 0.5), (1, 2, 1.0), (1, 2, -0.1)])
def test_bounds_that_no_delay_satisfies_are_refused(first: float, last: float, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"must hold|share of the delay"):
        Backoff(first, last, jitter)
