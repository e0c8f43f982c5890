from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.pipeline_service.merge_patch import changes, patched

leaves = (
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2) | st.booleans() | st.lists(st.integers(0, 2), max_size=2)
)
values: Any = st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=8
)
documents = st.dictionaries(st.sampled_from("xyz"), values, max_size=3)


@given(documents, documents)
def test_a_patch_that_was_applied_changes_nothing_more(live: dict[str, Any], patch: dict[str, Any]) -> None:
    assert not changes(patched(live, patch), patch)


@given(documents, documents)
def test_the_document_that_is_patched_stays_as_it_was(live: dict[str, Any], patch: dict[str, Any]) -> None:
    before = repr(live)
    patched(live, patch)
    assert repr(live) == before


@given(documents)
def test_what_a_patch_does_not_name_stays(live: dict[str, Any]) -> None:
    assert patched(live, {}) == live
    assert patched(live, {"new": 1}) == live | {"new": 1}


def test_a_none_removes_and_the_rest_merges() -> None:
    live = {"a": {"b": 1, "c": 2}, "d": 3}
    assert patched(live, {"a": {"b": None, "e": 4}}) == {"a": {"c": 2, "e": 4}, "d": 3}
    assert changes(live, {"a": {"b": None}})
    assert not changes(live, {"a": {"x": None}, "d": 3})
    assert not changes(live, {"f": {"g": None}})
