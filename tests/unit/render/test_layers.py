from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.render.layers import merge

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
LAYERS = st.dictionaries(st.text("abc", min_size=1, max_size=2), VALUES, max_size=4)


@given(LAYERS)
def test_an_empty_layer_changes_nothing(layer: dict[str, Any]) -> None:
    assert merge(layer, {}) == layer
    assert merge({}, layer) == layer
    assert merge(layer, layer) == layer


@given(LAYERS, LAYERS)
def test_merging_leaves_both_layers_as_they_were(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = deepcopy((base, over))
    merge(base, over)
    assert (base, over) == before


@given(LAYERS, LAYERS, LAYERS)
def test_every_value_of_the_upper_layer_stands(
    base: dict[str, Any], middle: dict[str, Any], top: dict[str, Any]
) -> None:
    merged = merge(merge(base, middle), top)
    assert merge(merged, top) == merged
    assert base.keys() | middle.keys() | top.keys() == merged.keys()


def test_objects_merge_key_by_key() -> None:
    base = {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}
    over = {"resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "100m"}}}
    assert merge(base, over) == {"resources": {"limits": {"memory": "2Gi", "cpu": "1"}, "requests": {"cpu": "100m"}}}


def test_named_items_merge_by_name_and_keep_their_order() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}
    over = {"env": [{"name": "C", "value": "2"}, {"name": "A", "valueFrom": {"secretKeyRef": {}}}]}
    assert merge(base, over)["env"] == [
        {"name": "A", "valueFrom": {"secretKeyRef": {}}},
        {"name": "B", "value": "1"},
        {"name": "C", "value": "2"},
    ]


def test_mounts_merge_by_path() -> None:
    base = {"volumeMounts": [{"name": "a", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}]}
    over = {"volumeMounts": [{"name": "b", "mountPath": "/x"}]}
    assert merge(base, over)["volumeMounts"] == [{"name": "b", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}]


def test_a_volume_is_replaced_whole() -> None:
    base = {"volumes": [{"name": "data", "emptyDir": {}}]}
    over = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}]}
    assert merge(base, over) == over


def test_tolerations_add_up_and_their_seconds_can_be_changed() -> None:
    spot = {"key": "spot", "effect": "NoExecute", "tolerationSeconds": 60}
    base = {"tolerations": [spot, {"key": "team", "value": "a"}]}
    over = {"tolerations": [{"key": "team", "operator": "Equal", "value": "b"}, spot | {"tolerationSeconds": 5}]}
    assert merge(base, over)["tolerations"] == [
        spot | {"tolerationSeconds": 5},
        {"key": "team", "value": "a"},
        {"key": "team", "operator": "Equal", "value": "b"},
    ]


def test_a_toleration_with_the_default_operator_is_the_same() -> None:
    spelt_out = {"tolerations": [{"key": "a", "operator": "Equal", "value": "b"}]}
    assert merge({"tolerations": [{"key": "a", "value": "b"}]}, spelt_out) == spelt_out


def test_variables_from_several_objects_add_up() -> None:
    base = {"envFrom": [{"secretRef": {"name": "a"}}]}
    over = {"envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "a", "optional": True}}]}
    assert merge(base, over)["envFrom"] == [
        {"secretRef": {"name": "a", "optional": True}},
        {"configMapRef": {"name": "a"}},
    ]


def test_an_upper_layer_changes_a_sidecars_own_fields() -> None:
    base = {"sidecars": [{"name": "proxy", "image": "x", "args": ["a", "b"], "env": [{"name": "A", "value": "1"}]}]}
    over = {"sidecars": [{"name": "proxy", "args": ["c"], "env": [{"name": "B", "value": "2"}]}, {"name": "other"}]}
    assert merge(base, over)["sidecars"] == [
        {
            "name": "proxy",
            "image": "x",
            "args": ["c"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        },
        {"name": "other"},
    ]


def test_other_lists_are_replaced() -> None:
    assert merge({"args": ["a", "b"]}, {"args": ["c"]}) == {"args": ["c"]}
