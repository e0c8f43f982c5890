"""ConfigMaps: objects that any API server has and no controller acts upon."""

import uuid
from typing import Final

from ingestion_operator.ports import Kind
from testing.objects import Body

CONFIG_MAPS: Final = Kind("v1", "ConfigMap", "configmaps")


def config_map(namespace: str, name: str, *, labels: dict[str, str] | None = None, **data: str) -> Body:
    """One with the data."""
    metadata: Body = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def fresh() -> str:
    """A name that no object has yet."""
    return f"o-{uuid.uuid4().hex[:8]}"
