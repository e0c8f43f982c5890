"""Writes a pipeline's status and announces the changes as Events, metrics and traces.

Changes are computed from the last announced status, not from the last written one: if the response to a write is lost,
the next reconciliation finds the desired status and still announces the changes.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.cache.store import Store
from ingestion_operator.ports import PIPELINES, Clock, ClusterWriter, StatusObserver
from ingestion_operator.reconcile.event_recorder import EventRecorder
from ingestion_operator.reconcile.events import events
from ingestion_operator.reporting.results import ReportBlocker
from ingestion_operator.runs.jobs import Job, PipelineKey

_logger = logging.getLogger(__name__)


class StatusWriter:
    """Writes and announces statuses. Thread-safe, with one thread per pipeline."""

    def __init__(
        self, cluster: ClusterWriter, store: Store, clock: Clock, observers: Sequence[StatusObserver] = ()
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._recorder = EventRecorder(cluster, clock)
        self._observers = observers
        self._unannounced: dict[PipelineKey, PipelineStatus] = {}
        """The last announced status of each pipeline whose later write is not confirmed."""

    def write(
        self,
        pipeline: Pipeline,
        known: Sequence[Run],
        status: PipelineStatus,
        runs: Sequence[Run],
        jobs: Sequence[Job],
        blocker: ReportBlocker | None = None,
    ) -> Pipeline:
        """Write the status if it changed, announce the changes, and return the updated pipeline.

        Args:
            pipeline: The pipeline with its current status.
            known: All runs before.
            status: The status to write.
            runs: All runs now. A status may have room for fewer, but changes of all are announced.
            jobs: The Jobs of the pipeline.
            blocker: The current blocker of reports.

        Raises:
            ClusterError: The write failed; Conflict if the pipeline has changed.
        """
        key = PipelineKey(pipeline.namespace, pipeline.name)
        announced = self._unannounced.get(key) or pipeline.status.model_copy(update={"runs": list(known)})
        if status != pipeline.status:
            self._unannounced[key] = announced
            body = self._cluster.apply(
                PIPELINES, _body(pipeline, status), field_manager=constants.STATUS_FIELD_MANAGER, subresource="status"
            )
            self._store.overlay_write(PIPELINES, body)
            pipeline = replace(pipeline, status=status, resource_version=body["metadata"]["resourceVersion"])
        now = status.model_copy(update={"runs": list(runs)})
        self._recorder.record(pipeline, events(announced, now, blocker))
        for observer in self._observers:
            try:
                observer.on_reconciled(pipeline, announced, now, jobs)
            except Exception:  # metrics and traces must not prevent starts and reports of runs
                _logger.exception("Pipeline %s/%s: an observer failed", pipeline.namespace, pipeline.name)
        self._unannounced.pop(key, None)
        return pipeline

    def forget(self, key: PipelineKey) -> None:
        """Drop the state of a deleted pipeline."""
        self._unannounced.pop(key, None)


def _body(pipeline: Pipeline, status: PipelineStatus) -> dict[str, object]:
    return {
        "apiVersion": constants.API_VERSION,
        "kind": constants.KIND,
        "metadata": {
            "namespace": pipeline.namespace,
            "name": pipeline.name,
            "resourceVersion": pipeline.resource_version,
        },
        "status": status.model_dump(by_alias=True, exclude_none=True, mode="json"),
    }
