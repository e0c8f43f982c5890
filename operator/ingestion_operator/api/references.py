"""References to objects in the pipeline's namespace."""

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.types import DataKey, DnsSubdomain


class LocalReference(KubernetesModel):
    """A reference to an object in the same namespace."""

    name: DnsSubdomain


class KeyReference(KubernetesModel):
    """One key of a Secret or ConfigMap in the same namespace."""

    name: DnsSubdomain
    key: DataKey


class OptionalReference(KubernetesModel):
    """A Secret or ConfigMap in the same namespace, which may be missing if it is optional."""

    name: DnsSubdomain
    optional: bool | None = None
