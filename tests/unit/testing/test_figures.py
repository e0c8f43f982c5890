"""Samples become figures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.figures import figures, last_line, percentile, table


@pytest.mark.parametrize(
    ("samples", "share", "expected"),
    [
        ([7.0], 0.5, 7.0),
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0, 4.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 1001)], 0.99, 990.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_one_of_the_samples(samples: list[float], share: float, expected: float) -> None:
    assert percentile(samples, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_the_share_of_samples_is_within_a_percentile(samples: list[float], share: float) -> None:
    bound = percentile(samples, share)
    assert sum(sample <= bound for sample in samples) >= share * len(samples)
    assert sum(sample < bound for sample in samples) < share * len(samples)


def test_without_samples_a_percentile_is_missing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


def test_the_last_line_begins_with_the_keys_that_are_promised() -> None:
    samples = {
        1: {"status": [1.0], "deploy": [10.04, 20.0], "deploy_to_trigger": [30.0]},
        5000: {"status": [2.0], "deploy": [11.0], "deploy_to_trigger": [31.0]},
    }
    line = last_line(figures(samples), errors=0)
    assert "\n" not in line
    assert line.startswith(
        '{"deploy_p50_ms": {"1": 10.0, "5000": 11.0}, "deploy_p99_ms": {"1": 20.0, "5000": 11.0}, '
        '"deploy_to_trigger_p99_ms": {"1": 30.0, "5000": 31.0}, "errors": 0'
    )
    assert json.loads(line)["status_p99_ms"] == {"1": 1.0, "5000": 2.0}


def test_the_table_has_rows_of_figures_and_columns_of_sizes() -> None:
    lines = table({"deploy_p50_ms": {"1": 1.25, "5000": 1234.5}}, [1, 5000]).splitlines()
    assert lines[0].split()[-2:] == ["1", "5,000"]
    assert lines[1].split() == ["deploy", "p50", "1.2", "1234.5"]
