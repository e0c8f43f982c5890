"""Merging of pod template layers."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from ingestion_operator.k8s.objects import Body
from ingestion_operator.k8s.quantities import parse_quantity


def _by(*keys: str) -> Callable[[Body], Hashable]:
    return lambda item: tuple(item.get(key) for key in keys)


def _by_source(item: Body) -> Hashable:
    names = (item.get(kind, {}).get("name") for kind in ("secretRef", "configMapRef"))
    return (item.get("prefix"), *names)


_IDENTITIES: Final[dict[str, Callable[[Body], Hashable]]] = {
    "env": _by("name"),
    "envFrom": _by_source,
    "volumes": _by("name"),
    "volumeMounts": _by("mountPath"),
    "imagePullSecrets": _by("name"),
    "hostAliases": _by("ip"),
    # Tolerations are additive. A stronger layer can only change tolerationSeconds.
    "tolerations": lambda item: (_by("key", "value", "effect")(item), item.get("operator") or "Equal"),
    "sidecars": _by("name"),
}
"""The identity of items, by the name of the list. Other lists are replaced as a whole."""

_MERGED_ITEMS: Final = ("sidecars",)
"""Lists whose items merge field by field. In others a stronger item replaces the weaker one: two kinds of a volume
cannot be merged."""


def merge_layers(layers: Sequence[Body]) -> Body:
    """Merge layers, weakest first, and reduce requests to the limits of stronger layers.

    Kubernetes rejects a container whose request exceeds its limit. The author of a layer that only lowers the limit
    need not know the request of a weaker layer. If one layer sets both, the request stays and Kubernetes rejects it.
    """
    merged: Body = {}
    for layer in layers:
        merged = merge(merged, layer)
    if "container" in merged:
        merged["container"] = _with_reduced_requests(
            merged["container"], [layer.get("container", {}) for layer in layers]
        )
    if "sidecars" in merged:
        merged["sidecars"] = [
            _with_reduced_requests(sidecar, [_sidecar(layer, sidecar["name"]) for layer in layers])
            for sidecar in merged["sidecars"]
        ]
    return merged


def _sidecar(layer: Body, name: str) -> Body:
    return next((sidecar for sidecar in layer.get("sidecars", []) if sidecar["name"] == name), {})


def _with_reduced_requests(container: Body, layers: Sequence[Body]) -> Body:
    """Return a merged container in which requests do not exceed a limit from a stronger layer than the request."""
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    reduced = {
        name: limits[name]
        for name, request in requests.items()
        if name in limits
        and parse_quantity(limits[name]) < parse_quantity(request)
        and _strongest(layers, "limits", name) > _strongest(layers, "requests", name)
    }
    return {**container, "resources": {**resources, "requests": {**requests, **reduced}}} if reduced else container


def _strongest(layers: Sequence[Body], kind: str, name: str) -> int:
    return max(index for index, layer in enumerate(layers) if name in layer.get("resources", {}).get(kind, {}))


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top.

    Objects merge key by key. Lists whose items have an identity merge item by item, as in Kubernetes' strategic merge.
    Other lists, such as a sidecar's command, are replaced as a whole.
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


def _merge_items(below: list[Body], over: list[Body], name: str) -> list[Body]:
    identity = _IDENTITIES[name]
    items = {identity(item): item for item in below}
    for item in over:
        lower = items.get(identity(item), {}) if name in _MERGED_ITEMS else {}
        items[identity(item)] = merge(lower, item)
    return list(items.values())
