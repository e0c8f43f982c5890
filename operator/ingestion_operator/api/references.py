"""References to objects of the pipeline's own namespace."""

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.types import DataKey, DnsSubdomain


class LocalReference(KubernetesModel):
    """A reference to an object of the same namespace."""

    name: DnsSubdomain


class KeyReference(KubernetesModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: DnsSubdomain
    key: DataKey


class OptionalReference(KubernetesModel):
    """A Secret or ConfigMap of the same namespace, which need not be there if it is optional."""

    name: DnsSubdomain
    optional: bool | None = None
