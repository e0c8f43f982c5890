"""Posting Events on pipelines."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import ClusterError
from ingestion_operator.k8s.naming import short_hash
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.ports import EVENTS, Clock, ClusterWriter
from ingestion_operator.reconcile.observed import EventRecord

_logger = logging.getLogger(__name__)

_SLOW: Final = timedelta(seconds=3)
_SLOW_PAUSE: Final = timedelta(seconds=60)
"""The API server may store Events in a separate etcd. While that is unreachable, each Event would block a worker for
many seconds, and a night's runs have thousands of Events: after a slow failure none is posted for a while."""


class EventRecorder:
    """Posts Events. A failure only loses the Event, since the status has the same information."""

    def __init__(self, cluster: ClusterWriter, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._paused_until = clock.now()

    def record(self, pipeline: Pipeline, events: Sequence[EventRecord]) -> None:
        """Post Events about a pipeline. Never raises."""
        for event in events:
            self._post(pipeline, event)

    def _post(self, pipeline: Pipeline, event: EventRecord) -> None:
        now = self._clock.now()
        name = f"Event {event.reason} on {pipeline.namespace}/{pipeline.name}"
        if now < self._paused_until:
            _logger.info("%s is lost: posting is paused after a slow failure", name)
            return
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
            failed_at = self._clock.now()
            if failed_at - now > _SLOW:
                self._paused_until = failed_at + _SLOW_PAUSE
            _logger.warning("%s is lost: %s", name, error)
