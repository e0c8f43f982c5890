"""JSON merge patches, applied in memory: to see what a write would change before it is made; pure functions."""

from collections.abc import Mapping
from typing import Any


def patched(live: Mapping[str, Any] | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the API server would make of `live`; a None removes a key."""
    result = dict(live or {})
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = patched(below if isinstance(below, Mapping) else None, value)
        else:
            result[key] = value
    return result


def changes(live: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    """Return whether a patch would change anything; an empty object is as good as none."""
    return bool(_bare(patched(live, patch)) != _bare(live))


def _bare(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    bare = {key: _bare(child) for key, child in value.items()}
    return {key: child for key, child in bare.items() if child not in ({}, None)}
