"""The Secrets of deployed pipelines, which are written only if they differ."""

import base64
from collections.abc import Mapping
from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import Conflict, Rejected
from ingestion_operator.k8s.objects import is_deleting, labels_of, owners_of
from ingestion_operator.pipeline_service.merge_patch import changes
from ingestion_operator.ports import SECRETS, ClusterApi
from ingestion_operator.render.cronjob import owner_reference


class SecretStore:
    """Secrets of one namespace."""

    def __init__(self, cluster: ClusterApi, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def ensure(self, name: str, values: Mapping[str, str], owner: dict[str, Any] | None = None) -> bool:
        """Create or update the Secret with `values` by key and with `owner`; return whether it was written.

        Raises:
            Conflict: Another client wrote it at the same time, or it is being deleted.
            Rejected: NameConflict: a Secret with the name was not created by a deploy.
        """
        metadata: dict[str, Any] = {"labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY}}
        if owner is not None:
            metadata["ownerReferences"] = [owner]
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        wanted = {"metadata": metadata, "data": data}
        live = self._cluster.get(SECRETS, self._namespace, name)
        if live is None:
            named = {"name": name, "namespace": self._namespace}
            body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", **wanted, "metadata": metadata | named}
            self._cluster.create(SECRETS, body, field_manager=constants.CLIENT_FIELD_MANAGER)
            return True
        self._check_ours(live)
        if not changes(live, wanted):
            return False
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        self._cluster.merge_patch(SECRETS, self._namespace, name, wanted, field_manager=constants.CLIENT_FIELD_MANAGER)
        return True

    def read(self, name: str, key: str) -> str | None:
        """Return the value, or None if the Secret or the key is missing."""
        live = self._cluster.get(SECRETS, self._namespace, name)
        value = (live or {}).get("data", {}).get(key)
        return base64.b64decode(value).decode(errors="replace") if value is not None else None

    def remove_orphan(self, name: str, *, keep_owned: bool) -> bool:
        """Delete the Secret unless garbage collection deletes it; return whether it was deleted."""
        live = self._cluster.get(SECRETS, self._namespace, name)
        if live is None or not _is_ours(live):
            return False
        if keep_owned and owners_of(live):
            return False
        self._cluster.delete(SECRETS, self._namespace, name, propagation="Background", uid=str(live["metadata"]["uid"]))
        return True

    def _check_ours(self, live: dict[str, Any]) -> None:
        name = f"{self._namespace}/{live['metadata']['name']}"
        if not _is_ours(live):
            raise Rejected(
                "NameConflict",
                f"Secret {name} exists and was not made by a deploy: delete or rename it. It was not changed",
            )
        if is_deleting(live):
            raise Conflict(f"Secret {name} is being deleted", code=409)


def _is_ours(secret: dict[str, Any]) -> bool:
    return labels_of(secret).get(constants.LABEL_DEPLOYED_BY) == constants.DEPLOYED_BY


def pipeline_owner(pipeline: Pipeline) -> dict[str, Any]:
    """Return the owner reference that deletes a Secret with its pipeline."""
    return owner_reference(pipeline)


def job_owner(job: dict[str, Any]) -> dict[str, Any]:
    """Return the owner reference that deletes a Secret with the Job of its run."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
