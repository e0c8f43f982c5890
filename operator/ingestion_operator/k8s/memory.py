"""The memory limit of the runner's container; pure functions."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ingestion_operator import constants
from ingestion_operator.k8s.quantities import LARGEST_QUANTITY, format_bytes, parse_quantity, same_quantity


def memory_limits_above(limit: str | None, factor: int, most: str) -> list[str]:
    """Return the limits of the retries after an attempt with `limit`.

    Each is `factor` times the previous one, the last one `most`. Empty without a limit or if it is not below `most`.
    """
    cap = min(_bytes(most), LARGEST_QUANTITY)
    size = _bytes(limit) if limit else Decimal(0)
    sizes: list[str] = []
    while 0 < size < cap:
        size = min(size * factor, cap)
        sizes.append(format_bytes(size))
    return sizes


def memory_limit_of(pod_spec: dict[str, Any]) -> str | None:
    """Return the memory limit of the runner's container, or None if it has none."""
    for container in pod_spec.get("containers", []):
        if container.get("name") == constants.RUNNER_CONTAINER:
            limit = (container.get("resources", {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None


def with_memory_limit(containers: Sequence[dict[str, Any]], limit: str) -> list[dict[str, Any]]:
    """Return the containers of a pod, with `limit` as the memory limit of the runner's container.

    Its request is raised too: to the new limit if it was equal to the old one, otherwise to the old limit, since the
    run is known to need more than that.
    """
    return [_with_limit(c, limit) if c.get("name") == constants.RUNNER_CONTAINER else c for c in containers]


def _with_limit(container: dict[str, Any], limit: str) -> dict[str, Any]:
    resources = container.get("resources", {})
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    old_limit, request = limits.get("memory"), requests.get("memory")
    changed = {**resources, "limits": {**limits, "memory": limit}}
    if request is not None and old_limit is not None:  # without a request Kubernetes uses the limit
        new_request = limit if same_quantity(request, old_limit) else old_limit
        changed["requests"] = {**requests, "memory": new_request}
    return {**container, "resources": changed}


def _bytes(quantity: str) -> Decimal:
    return parse_quantity(quantity).to_integral_value(ROUND_CEILING)
