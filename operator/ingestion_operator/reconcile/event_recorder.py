"""Posting Events on pipelines."""

import logging
from collections.abc import Sequence

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.naming import short_hash
from ingestion_operator.ports import EVENTS, Clock, ClusterApi
from ingestion_operator.reconcile.observed import EventRecord

_logger = logging.getLogger(__name__)


class EventRecorder:
    """Posts Events; losing one is no reason to fail, since the status has the same."""

    def __init__(self, cluster: ClusterApi, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    def record(self, pipeline: Pipeline, events: Sequence[EventRecord]) -> None:
        """Post Events about a pipeline. Raises nothing."""
        for event in events:
            self._post(pipeline, event)

    def _post(self, pipeline: Pipeline, event: EventRecord) -> None:
        now = self._clock.now()
        timestamp = format_timestamp(now)
        unique = short_hash(f"{pipeline.uid}{event}{now.timestamp()}")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pipeline.cronjob_name}.{unique}", "namespace": pipeline.namespace},
            "type": event.type,
            "reason": event.reason,
            "message": event.message[: constants.MESSAGE_LIMIT_BYTES],
            "involvedObject": {
                "apiVersion": constants.API_VERSION,
                "kind": constants.KIND,
                "namespace": pipeline.namespace,
                "name": pipeline.name,
                "uid": pipeline.uid,
                "resourceVersion": pipeline.resource_version,
            },
            "source": {"component": constants.MANAGED_BY},
            "reportingComponent": constants.MANAGED_BY,
            "firstTimestamp": timestamp,
            "lastTimestamp": timestamp,
            "count": 1,
        }
        try:
            self._cluster.create(EVENTS, body)
        except ClusterError as error:
            _logger.warning("Event %s on %s/%s is lost: %s", event.reason, pipeline.namespace, pipeline.name, error)
