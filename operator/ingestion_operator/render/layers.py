"""Merging pod template layers."""

from typing import Any

_ITEM_KEYS = {"env": "name", "volumes": "name", "volumeMounts": "mountPath", "imagePullSecrets": "name"}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top.

    Objects merge key by key; lists whose items have a name merge item by item, as in Kubernetes' strategic
    merge; any other list, such as tolerations, is replaced as a whole.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        elif key in _ITEM_KEYS and isinstance(below, list):
            merged[key] = _merge_items(below, value, _ITEM_KEYS[key])
        else:
            merged[key] = value
    return merged


def _merge_items(below: list[dict[str, Any]], over: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    # The upper layer's item replaces the lower one whole: half a secret volume and half a claim make no volume.
    items = {item[key]: item for item in below} | {item[key]: item for item in over}
    return list(items.values())
