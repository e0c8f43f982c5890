"""Requests that the operator never makes, for tests: dry runs, strict validation, deletion."""

from typing import Any

from ingestion_operator.adapters.kube.client import KubernetesCluster, _path
from ingestion_operator.ports import Kind

Body = dict[str, Any]


def create(api: KubernetesCluster, kind: Kind, body: Body, **query: str) -> Body:
    """Create an object; `query` such as dryRun="All" or fieldValidation="Strict". Raises as the client does."""
    path = _path(kind, body["metadata"]["namespace"])
    return api._call("POST", path, query, body, "application/json")


def replace(api: KubernetesCluster, kind: Kind, body: Body, *, subresource: str = "") -> Body:
    """Replace an object, as `kubectl replace` does."""
    path = _path(kind, body["metadata"]["namespace"], body["metadata"]["name"], subresource)
    return api._call("PUT", path, {}, body, "application/json")


def delete(api: KubernetesCluster, kind: Kind, namespace: str, name: str) -> None:
    """Delete an object at once."""
    api._call("DELETE", _path(kind, namespace, name), {"gracePeriodSeconds": "0"}, None, "application/json")
