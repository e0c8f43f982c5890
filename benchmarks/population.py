"""Pipelines that are there already, as so many deploys would have left them; on demand, so that none of them fires."""

import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import KubernetesCluster
from ingestion_operator.adapters.system_clock import SystemClock
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.pipeline_service.desired import Desired, desired, without_none
from ingestion_operator.pipeline_service.secret_store import SecretStore, pipeline_owner
from ingestion_operator.ports import PIPELINES, SECRETS
from testcluster.progress import show, step, wait_until
from testing.entities import airflow, entity

_THREADS: Final = 8
_READY_SECONDS: Final = 1800


def on_demand(name: str) -> dict[str, Any]:
    """Return the entity of a pipeline without a schedule."""
    return entity(name, airflowConfig=airflow(scheduleInterval=None))


class Population:
    """The pipelines of one namespace that the figures are taken beside."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, settings: Settings) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._size = 0

    def grow(self, size: int) -> None:
        """Create pipelines until there are so many, and wait until the operator has made all of them ready."""
        begin, missing = time.monotonic(), range(self._size, size)
        with step(f"creating {len(missing):,} pipelines"), ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(self._create, missing):
                pass
        self._size = size
        wait_until(f"{size:,} pipeline(s) to be ready", self._are_ready, timeout=_READY_SECONDS, pause=5)
        show(f"{size:,} pipeline(s) ready, {time.monotonic() - begin:.0f} s after the first write")

    def _create(self, number: int) -> None:
        """Write what a deploy writes, without looking first."""
        wanted = desired(on_demand(f"existing-{number}"), self._settings, SystemClock().now())
        if number == 0 and wanted.token is not None:
            token = {constants.TOKEN_KEY: wanted.token.value}
            SecretStore(self._cluster, self._namespace).ensure(wanted.token.secret, token)
        body = self._cluster.create(
            PIPELINES,
            {
                "apiVersion": constants.API_VERSION,
                "kind": constants.KIND,
                "metadata": without_none(wanted.metadata()) | {"name": wanted.resource, "namespace": self._namespace},
                "spec": without_none(wanted.spec),
            },
            field_manager=constants.CLIENT_FIELD_MANAGER,
        )
        self._cluster.create(SECRETS, self._source_config(wanted, body), field_manager=constants.CLIENT_FIELD_MANAGER)

    def _source_config(self, wanted: Desired, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": wanted.spec["sourceConfigSecretRef"]["name"],
                "namespace": self._namespace,
                "labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY},
                "ownerReferences": [pipeline_owner(Pipeline.parse(body))],
            },
            "data": {constants.SOURCE_CONFIG_KEY: b64encode(wanted.source_config.encode()).decode()},
        }

    def _are_ready(self) -> bool:
        bodies = self._cluster.list(PIPELINES, self._namespace, {})
        return sum(_is_ready(body) for body in bodies) >= self._size


def _is_ready(body: dict[str, Any]) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
