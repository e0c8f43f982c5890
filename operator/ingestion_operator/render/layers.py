"""Merging pod template layers."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from ingestion_operator.k8s.diff import parse_quantity

Item = dict[str, Any]


def _by(*keys: str) -> Callable[[Item], Hashable]:
    return lambda item: tuple(item.get(key) for key in keys)


def _by_source(item: Item) -> Hashable:
    names = (item.get(kind, {}).get("name") for kind in ("secretRef", "configMapRef"))
    return (item.get("prefix"), *names)


_IDENTITIES: Final[dict[str, Callable[[Item], Hashable]]] = {
    "env": _by("name"),
    "envFrom": _by_source,
    "volumes": _by("name"),
    "volumeMounts": _by("mountPath"),
    "imagePullSecrets": _by("name"),
    "hostAliases": _by("ip"),
    # Tolerations add up: each says what else is tolerated. Only tolerationSeconds can be changed by a layer above.
    "tolerations": lambda item: (_by("key", "value", "effect")(item), item.get("operator") or "Equal"),
    "sidecars": _by("name"),
}
"""What identifies the items of a list; lists not named here are replaced as a whole."""

_MERGED_ITEMS: Final = ("sidecars",)
"""Where an upper layer may say just what differs. Half a secret volume and half a claim make no volume."""


def merge_layers(layers: Sequence[Item]) -> Item:
    """Return all layers merged, weakest first, with requests cut down to the limits of stronger layers.

    Kubernetes refuses a container whose request is above its limit. Whoever lowers only the limit does not know the
    request of the layer below; where one layer sets both, the refusal names what that layer's author wrote.
    """
    merged: Item = {}
    for layer in layers:
        merged = merge(merged, layer)
    if "container" in merged:
        merged["container"] = _with_requests_cut(merged["container"], [layer.get("container", {}) for layer in layers])
    if "sidecars" in merged:
        merged["sidecars"] = [
            _with_requests_cut(sidecar, [_sidecar(layer, sidecar["name"]) for layer in layers])
            for sidecar in merged["sidecars"]
        ]
    return merged


def _sidecar(layer: Item, name: str) -> Item:
    return next((sidecar for sidecar in layer.get("sidecars", []) if sidecar["name"] == name), {})


def _with_requests_cut(container: Item, layers: Sequence[Item]) -> Item:
    """Return a merged container, each request above a limit that only a stronger one of `layers` sets cut to it."""
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    cut = {
        name: limits[name]
        for name, request in requests.items()
        if name in limits
        and parse_quantity(limits[name]) < parse_quantity(request)
        and _strongest(layers, "limits", name) > _strongest(layers, "requests", name)
    }
    return {**container, "resources": {**resources, "requests": {**requests, **cut}}} if cut else container


def _strongest(layers: Sequence[Item], kind: str, name: str) -> int:
    return max(index for index, layer in enumerate(layers) if name in layer.get("resources", {}).get(kind, {}))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top.

    Objects merge key by key; lists whose items have an identity merge item by item, much as in Kubernetes'
    strategic merge; any other list, such as a sidecar's command, is replaced as a whole.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(below, value)
        elif key in _IDENTITIES and isinstance(below, list):
            merged[key] = _merge_items(below, value, key)
        else:
            merged[key] = value
    return merged


def _merge_items(below: list[Item], over: list[Item], name: str) -> list[Item]:
    identity = _IDENTITIES[name]
    items = {identity(item): item for item in below}
    for item in over:
        lower = items.get(identity(item), {}) if name in _MERGED_ITEMS else {}
        items[identity(item)] = merge(lower, item)
    return list(items.values())
