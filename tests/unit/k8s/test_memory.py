"""The sizes that a run gets one after the other, and the containers that have them."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.api.types import QUANTITY_PATTERN
from ingestion_operator.constants import RUNNER_CONTAINER
from ingestion_operator.k8s.memory import memory_limits_above, with_memory_limit
from ingestion_operator.k8s.quantities import LARGEST_QUANTITY, is_less, parse_quantity
from testing.objects import Body

QUANTITIES = st.from_regex(QUANTITY_PATTERN, fullmatch=True).filter(lambda text: len(text) <= 32 and text.isascii())
LIMITS = st.builds("{}{}".format, st.integers(1, 10**6), st.sampled_from(["", "k", "Ki", "M", "Mi", "G", "Gi"]))


@pytest.mark.parametrize(
    ("limit", "factor", "most", "sizes"),
    [
        ("512Mi", 2, "4Gi", ["1Gi", "2Gi", "4Gi"]),
        ("512Mi", 2, "3Gi", ["1Gi", "2Gi", "3Gi"]),
        ("100Mi", 8, "1Gi", ["800Mi", "1Gi"]),
        ("1Gi", 8, "2Gi", ["2Gi"]),
        ("1.5Gi", 2, "8192Mi", ["3Gi", "6Gi", "8Gi"]),
        ("100M", 8, "1G", ["800M", "1G"]),
        ("1000Mi", 2, "2000Mi", ["2000Mi"]),
        ("2Gi", 2, "2048Mi", []),
        ("4Gi", 2, "2Gi", []),
        ("0", 2, "2Gi", []),
        (None, 2, "2Gi", []),
    ],
)
def test_each_size_is_the_last_one_times_the_factor(
    limit: str | None, factor: int, most: str, sizes: list[str]
) -> None:
    assert memory_limits_above(limit, factor, most) == sizes


@given(QUANTITIES, st.integers(2, 8), QUANTITIES)
def test_sizes_grow_by_at_most_the_factor_up_to_the_maximum(limit: str, factor: int, most: str) -> None:
    amounts = [parse_quantity(limit), *map(parse_quantity, memory_limits_above(limit, factor, most))]
    assert len(amounts) <= 66
    assert amounts == sorted(set(amounts))
    for smaller, larger in pairwise(amounts[1:]):
        assert larger <= smaller * factor
        assert larger == smaller * factor or larger == amounts[-1]
    if len(amounts) > 1:
        assert 0 <= amounts[-1] - min(parse_quantity(most), LARGEST_QUANTITY) < 1  # whole bytes


@given(LIMITS, st.integers(2, 8), LIMITS)
def test_sizes_are_written_as_the_api_server_stores_them(limit: str, factor: int, most: str) -> None:
    for size in memory_limits_above(limit, factor, most):
        assert len(size) <= len(str(int(parse_quantity(size))))
        assert parse_quantity(size) % 1 == Decimal(0)


def container(**memory: str) -> Body:
    limits = {"cpu": "1", "memory": memory["limit"]} if "limit" in memory else {"cpu": "1"}
    requests = {"requests": {"cpu": "250m", "memory": memory["request"]}} if "request" in memory else {}
    return {"name": RUNNER_CONTAINER, "image": "x", "resources": {"limits": limits, **requests}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (container(limit="512Mi", request="512Mi"), container(limit="1Gi", request="1Gi")),
        (container(limit="1Gi", request="1024Mi"), container(limit="1Gi", request="1Gi")),
        (container(limit="512Mi", request="256Mi"), container(limit="1Gi", request="512Mi")),
        (container(limit="512Mi"), container(limit="1Gi")),
    ],
    ids=["equal stays equal", "equal in other words", "a smaller one becomes what was outgrown", "none stays none"],
)
def test_the_request_follows_the_limit(before: Body, after: Body) -> None:
    assert with_memory_limit([before], "1Gi") == [after]


def test_only_the_runners_container_grows() -> None:
    other = {"name": "sidecar", "resources": {"limits": {"memory": "64Mi"}}}
    assert with_memory_limit([other, container(limit="512Mi")], "1Gi") == [other, container(limit="1Gi")]


@given(LIMITS, LIMITS)
def test_the_request_never_exceeds_the_limit(limit: str, request: str) -> None:
    if is_less(limit, request):
        limit, request = request, limit
    for size in memory_limits_above(limit, 2, "1Ti"):
        resources = with_memory_limit([container(limit=limit, request=request)], size)[0]["resources"]
        assert not is_less(resources["limits"]["memory"], resources["requests"]["memory"])
