"""Writing a pipeline's status, and announcing what changed: Events, metrics, traces.

What is announced follows what observers saw last, not what was written last: where the answer to a write is lost, the
next reconciliation finds the status as desired and announces the difference all the same.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.status import PipelineStatus, Run
from ingestion_operator.cache.store import Store
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi, StatusObserver
from ingestion_operator.reconcile.event_recorder import EventRecorder
from ingestion_operator.reconcile.events import events
from ingestion_operator.reporting.results import ReportBlocker
from ingestion_operator.runs.jobs import Job, PipelineKey

_logger = logging.getLogger(__name__)


class StatusWriter:
    """May be shared by threads, one for each pipeline at a time."""

    def __init__(
        self, cluster: ClusterApi, store: Store, clock: Clock, observers: Sequence[StatusObserver] = ()
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._recorder = EventRecorder(cluster, clock)
        self._observers = observers
        self._unannounced: dict[PipelineKey, PipelineStatus] = {}
        """What observers saw last, where a write has not been confirmed since."""

    def write(
        self,
        pipeline: Pipeline,
        known: Sequence[Run],
        status: PipelineStatus,
        runs: Sequence[Run],
        jobs: Sequence[Job],
        blocker: ReportBlocker | None = None,
    ) -> Pipeline:
        """Write the status if it changed, announce what changed, and return the pipeline as it is now.

        `known` and `runs` are all runs before and now: a status has room for fewer, and each is announced. Raises
        ClusterError; a stale writer is refused with Conflict.
        """
        key = PipelineKey(pipeline.namespace, pipeline.name)
        seen = self._unannounced.get(key) or pipeline.status.model_copy(update={"runs": list(known)})
        if status != pipeline.status:
            self._unannounced[key] = seen
            body = self._cluster.apply(
                PIPELINES, _body(pipeline, status), field_manager=constants.STATUS_FIELD_MANAGER, subresource="status"
            )
            self._store.wrote(PIPELINES, body)
            pipeline = replace(pipeline, status=status, resource_version=body["metadata"]["resourceVersion"])
        now = status.model_copy(update={"runs": list(runs)})
        self._recorder.record(pipeline, events(seen, now, blocker))
        for observer in self._observers:
            try:
                observer.on_reconciled(pipeline, seen, now, jobs)
            except Exception:  # what only counts must not keep runs from being started and reported
                _logger.exception("Pipeline %s/%s: a change was not counted", pipeline.namespace, pipeline.name)
        self._unannounced.pop(key, None)
        return pipeline

    def forget(self, key: PipelineKey) -> None:
        """Drop what is remembered of a pipeline that is gone."""
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
