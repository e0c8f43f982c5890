"""The reconciler over a real API server, with a cache that is listed before each reconciliation."""

from collections.abc import Callable
from datetime import datetime

from ingestion_operator import constants
from ingestion_operator.api.settings import Settings
from ingestion_operator.cache.store import Store
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi
from ingestion_operator.reconcile.reconciler import PipelineReconciler
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey


class LiveReconciling:
    """Reconciles pipelines of one namespace of a real API server."""

    def __init__(
        self, api: ClusterApi, namespace: str, settings: Callable[[], Settings], clock: Clock, reporter: Reporter
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._store = Store([namespace])
        self._clock = clock
        self._reconciler = PipelineReconciler(api, self._store, settings, clock, reporter)

    def reconcile(self, name: str) -> datetime | None:
        """Reconcile a pipeline once from what the API server has."""
        for kind in self._store.kinds:
            found = self._api.list(kind, self._namespace, {})
            listed = [body for body in found if kind == PIPELINES or _is_labelled(body)]
            versions = [int(body["metadata"]["resourceVersion"]) for body in found]
            self._store.replace(kind, self._namespace, listed, str(max(versions, default=1)))
        return self._reconciler.reconcile(PipelineKey(self._namespace, name))


def _is_labelled(body: dict[str, dict[str, dict[str, str]]]) -> bool:
    return constants.LABEL_PIPELINE in (body["metadata"].get("labels") or {})
