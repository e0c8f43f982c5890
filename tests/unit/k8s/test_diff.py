import json
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.k8s.diff import contains, fingerprint
from ingestion_operator.k8s.quantities import parse_quantity, same_quantity

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
KEYS = st.text("abcdrequestslimits", min_size=1, max_size=8) | st.sampled_from(["requests", "limits", "sizeLimit"])
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
OBJECTS = st.dictionaries(KEYS, TREES, max_size=5)


@given(TREES)
def test_everything_contains_itself(tree: Any) -> None:
    assert contains(tree, tree)


@given(OBJECTS, OBJECTS)
def test_fields_that_others_added_are_not_a_difference(ours: dict[str, Any], others: dict[str, Any]) -> None:
    assert contains({**others, **ours}, ours)


@given(OBJECTS, TREES)
def test_comparing_never_fails_whatever_the_live_object_holds(desired: dict[str, Any], live: Any) -> None:
    assert contains(live, desired) in (True, False)


@pytest.mark.parametrize("empty", ["", None, {}, []])
def test_an_empty_value_and_a_missing_one_are_the_same(empty: Any) -> None:
    assert contains({}, {"field": empty})
    assert contains({"field": None}, {"field": empty})


@pytest.mark.parametrize("field", ["automountServiceAccountToken", "backoffLimit", "suspend"])
@pytest.mark.parametrize("zero", [False, 0])
def test_a_missing_zero_or_false_is_a_difference(field: str, zero: Any) -> None:
    assert not contains({}, {field: zero})


def test_a_mount_that_is_not_read_only_omits_the_field() -> None:
    assert contains({"name": "a"}, {"name": "a", "readOnly": False})
    assert not contains({"readOnly": True}, {"readOnly": False})
    assert not contains({}, {"readOnly": True})


@pytest.mark.parametrize("value", [True, 1, "x", {"a": "b"}, ["a"]])
def test_a_value_that_is_gone_is_a_difference(value: Any) -> None:
    assert not contains({}, {"field": value})
    assert not contains(None, {"field": value})


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": False}, {"a": True}),
        ({"a": True}, {"a": False}),
        ({"a": "text"}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": ["b"]}),
        ({"a": ["b"]}, {"a": "b"}),
        ({"a": ["b", "c"]}, {"a": ["b"]}),
        ({"a": ["b"]}, {"a": ["b", "c"]}),
        ({"a": ["c", "b"]}, {"a": ["b", "c"]}),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1, "c": 3}]}),
        ({"a": "1"}, {"a": "1000m"}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
        ({"limits": "gpu"}, {"limits": "cpu"}),
        ({"limits": {"cpu": {}}}, {"limits": {"cpu": "1"}}),
    ],
)
def test_another_value_is_a_difference(live: Any, desired: Any) -> None:
    assert not contains(live, desired)


@pytest.mark.parametrize("field", ["requests", "limits"])
def test_a_quantity_that_the_server_rewrote_is_not_a_difference(field: str) -> None:
    live = {"resources": {field: {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1m"}}}
    desired = {"resources": {field: {"cpu": "1000m", "memory": "1024Mi", "ephemeral-storage": "0.0001"}}}
    assert contains(live, desired)
    assert contains({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}})


@pytest.mark.parametrize(
    ("one", "other"),
    [("1000m", "1"), ("1", 1), ("0.5", "500m"), ("1Gi", "1024Mi"), ("1G", "1000M"), ("1e3", "1k"), ("0.0001", "1m"),
     ("100u", "1m"), ("12E", "9223372036854775807"), ("10", "10.0"), ("0", "0m")],
)  # fmt: skip
def test_two_spellings_of_one_amount_are_the_same_quantity(one: Any, other: Any) -> None:
    assert same_quantity(one, other)
    assert same_quantity(other, one)


@pytest.mark.parametrize(("one", "other"), [("1Gi", "1G"), ("1", "1m"), ("2", "1"), ("1", "x"), ("x", "y"), (1, None)])
def test_two_amounts_are_not_the_same_quantity(one: Any, other: Any) -> None:
    assert not same_quantity(one, other)


@pytest.mark.parametrize("text", ["", "Mi", "1X", "1kk", "abc", "NaN", "inf", "Infinity", "--1"])
def test_what_is_not_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(
    st.integers(0, 10**6), st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi", "T", "Ti", "P", "Pi", "n", "u"])
)
def test_a_quantity_is_its_number_times_its_suffix(number: int, suffix: str) -> None:
    assert parse_quantity(f"{number}{suffix}") == Decimal(number) * parse_quantity(f"1{suffix}")


@given(OBJECTS, st.randoms())
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(tree: dict[str, Any], random: Any) -> None:
    items = list(deepcopy(tree).items())
    random.shuffle(items)
    assert fingerprint(dict(items)) == fingerprint(tree)


@given(OBJECTS, OBJECTS)
def test_fingerprints_of_different_objects_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one) == fingerprint(other)) is same
