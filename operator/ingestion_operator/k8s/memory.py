"""The memory of the runner's container: sizes that follow one another, and a container of a size."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.k8s.diff import LARGEST_QUANTITY, parse_quantity, same_quantity

_SUFFIXES: Final = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "k", "")


def sizes_above(limit: str | None, factor: int, most: str) -> list[str]:
    """Return the limits that follow `limit`, each `factor` times the one before, the last one `most`.

    Empty where there is nothing to grow: no limit, or one that is not below `most`.
    """
    cap = min(_bytes(most), LARGEST_QUANTITY)
    size = _bytes(limit) if limit else Decimal(0)
    sizes: list[str] = []
    while 0 < size < cap:
        size = min(size * factor, cap)
        sizes.append(_text(size))
    return sizes


def limit_of(pod_spec: dict[str, Any]) -> str | None:
    """Return the memory limit of the runner's container, None if it has none."""
    for container in pod_spec.get("containers", []):
        if container.get("name") == constants.RUNNER_CONTAINER:
            limit = (container.get("resources", {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None


def with_memory(containers: Sequence[dict[str, Any]], size: str) -> list[dict[str, Any]]:
    """Return the containers of a pod, the runner's with `size` as its memory limit.

    Its request follows: one that was equal to the limit stays so; a smaller one is raised to the size that the run
    has outgrown, which it is now known to need.
    """
    return [_grown(c, size) if c.get("name") == constants.RUNNER_CONTAINER else c for c in containers]


def is_less(one: str, other: str) -> bool:
    """Compare two quantities."""
    return parse_quantity(one) < parse_quantity(other)


def is_quantity(text: str) -> bool:
    """Return whether `text` is an amount; another program may have written it."""
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _grown(container: dict[str, Any], size: str) -> dict[str, Any]:
    resources = container.get("resources", {})
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    outgrown, request = limits.get("memory"), requests.get("memory")
    grown = {**resources, "limits": {**limits, "memory": size}}
    if request is not None and outgrown is not None:  # without a request Kubernetes takes the limit for it
        more = size if same_quantity(request, outgrown) else outgrown
        grown["requests"] = {**requests, "memory": more}
    return {**container, "resources": grown}


def _bytes(quantity: str) -> Decimal:
    return parse_quantity(quantity).to_integral_value(ROUND_CEILING)


def _text(amount: Decimal) -> str:
    """Write an amount as Kubernetes does: the shortest text that is exact."""
    texts = [
        f"{int(amount / unit)}{suffix}" for suffix in _SUFFIXES if amount % (unit := parse_quantity(f"1{suffix}")) == 0
    ]
    return min(texts, key=len)
