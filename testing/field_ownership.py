"""Parts of objects: what a call may change, merges, and the fields that an apply owns, as an API server has them."""

from copy import deepcopy
from typing import Any, Final

Body = dict[str, Any]
Path = tuple[str, ...]

_LIST_KEYS: Final = {
    "containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath", "imagePullSecrets": "name",
    "ownerReferences": "uid", "conditions": "type", "hostAliases": "ip",
}  # fmt: skip


def part_of(body: Body, subresource: str) -> Body:
    """Return the part of a body that a call on the object or on its status may change."""
    identity = {key: body["metadata"][key] for key in ("name", "namespace") if key in body.get("metadata", {})}
    if subresource:
        return {"metadata": identity, subresource: body.get(subresource, {})}
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k not in ("uid", "resourceVersion")}
    return {**{k: v for k, v in body.items() if k != "status"}, "metadata": metadata}


def merged_with(live: Any, wanted: Any, field: str = "") -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {**live, **{key: merged_with(live.get(key), value, key) for key, value in wanted.items()}}
    if isinstance(wanted, list) and isinstance(live, list) and field in _LIST_KEYS:
        key = _LIST_KEYS[field]
        known = {item[key]: item for item in live}
        ours = [merged_with(known.get(item[key], {}), item) for item in wanted]
        return ours + [item for item in live if item[key] not in {mine[key] for mine in wanted}]
    return deepcopy(wanted)


def merge_patch(live: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def leaves(value: Any, field: str = "", path: Path = ()) -> set[Path]:
    if isinstance(value, dict) and value:
        return set().union(*(leaves(child, key, (*path, key)) for key, child in value.items()))
    if isinstance(value, list) and value and field in _LIST_KEYS:
        key = _LIST_KEYS[field]
        paths = [(*path, f"{key}={item[key]}") for item in value]
        bare = [{name: child for name, child in item.items() if name != key} for item in value]
        return set(paths).union(*(leaves(item, "", below) for item, below in zip(bare, paths, strict=True)))
    return {path}


def remove(body: Any, path: Path) -> None:
    *parents, last = path
    for step in parents:
        body = _child(body, step)
        if body is None:
            return
    if isinstance(body, list):
        key, _, value = last.partition("=")
        body[:] = [item for item in body if str(item[key]) != value]
    elif isinstance(body, dict):
        body.pop(last, None)


def _child(body: Any, step: str) -> Any:
    if isinstance(body, list):
        key, _, value = step.partition("=")
        return next((item for item in body if str(item[key]) == value), None)
    return body.get(step) if isinstance(body, dict) else None
