"""JSON merge patches, applied in memory to find out whether a write would change anything; pure functions."""

from collections.abc import Mapping
from typing import Any


def patched(live: Mapping[str, Any] | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of the patch on `live`, as in the API server; None removes a key."""
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
    """Return whether a patch would change `live`; an empty object equals an absent one."""
    return bool(_bare(patched(live, patch)) != _bare(live))


def _bare(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    bare = {key: _bare(child) for key, child in value.items()}
    return {key: child for key, child in bare.items() if child not in ({}, None)}
