"""One look at one pipeline: children made right, runs recorded, status and Events written."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError, Forbidden, Rejected
from ingestion_operator.models.resource import Pipeline, parse_status
from ingestion_operator.models.status import PipelineStatus
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.naming import short_hash
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, Clock, ClusterApi
from ingestion_operator.reconcile import Reconciler
from ingestion_operator.runs.history import runs_of
from ingestion_operator.schedule import next_boundary
from ingestion_operator.settings import Settings
from ingestion_operator.status import Announcement, Findings, announcements, next_look, pipeline_status

_logger = logging.getLogger(__name__)

RECHECK_SECONDS: Final = 5
"""How soon a pipeline that is not ready is looked at again: its cause may be gone without an event of its own."""


@dataclass(frozen=True, order=True)
class PipelineKey:
    """Namespace and name."""

    namespace: str
    name: str


class Refresher:
    """Level-triggered: reads everything anew, so that it may be called at any time, any number of times."""

    def __init__(self, cluster: ClusterApi, settings: Callable[[], Settings], clock: Clock) -> None:
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._reconciler = Reconciler(cluster)

    def refresh(self, key: PipelineKey, observed_pods: list[dict[str, Any]]) -> datetime | None:
        """Look at a pipeline once; return when to look again though nothing happens, None for never.

        `observed_pods` are pods as last seen by the watch: one that is gone by now still counts with its end.

        Raises ClusterError when the API server could not do its part; Conflict means: at once again.
        """
        body = self._cluster.get(PIPELINES, key.namespace, key.name)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return None
        now = self._clock.now().replace(microsecond=0)
        try:
            pipeline = Pipeline.parse(body)
        except Rejected as rejected:
            _logger.warning("Pipeline %s/%s cannot be read: %s", key.namespace, key.name, rejected)
            return None
        findings = self._look(pipeline, observed_pods, now)
        status = pipeline_status(pipeline, findings, now)
        if status != parse_status(body):
            self._write(pipeline, status)
        if findings.rejected is not None:
            return now + timedelta(seconds=RECHECK_SECONDS)
        schedule = pipeline.spec.schedule
        boundary = next_boundary(schedule.start_date, schedule.end_date, now) if schedule else None
        return next_look(status, boundary)

    def _look(self, pipeline: Pipeline, observed_pods: list[dict[str, Any]], now: datetime) -> Findings:
        cronjob, rejected = None, None
        try:
            cronjob = self._reconciler.reconcile(pipeline, self._settings(), now)
            self._reconciler.check_secrets(pipeline)
        except Rejected as error:
            rejected = error
        except Forbidden as error:
            rejected = Rejected("PermissionMissing", f"The operator lacks a permission: {error}")
        if cronjob is None:
            cronjob = self._owned_cronjob(pipeline)
        selector = {constants.LABEL_PIPELINE: pipeline.cronjob_name}
        jobs = self._cluster.list(JOBS, pipeline.namespace, selector)
        pods = {pod["metadata"]["name"]: pod for pod in observed_pods}
        if jobs:
            pods |= {pod["metadata"]["name"]: pod for pod in self._cluster.list(PODS, pipeline.namespace, selector)}
        runs = runs_of(jobs, list(pods.values()), pipeline.status.runs, now)
        return Findings(cronjob=cronjob, runs=runs, rejected=rejected)

    def _owned_cronjob(self, pipeline: Pipeline) -> dict[str, Any] | None:
        """Return the CronJob that an earlier, valid spec has left in place, if any."""
        try:
            live = self._cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        except Forbidden:
            return None
        owners = live["metadata"].get("ownerReferences", []) if live else []
        return live if any(owner["uid"] == pipeline.uid for owner in owners) else None

    def _write(self, pipeline: Pipeline, status: PipelineStatus) -> None:
        body = {
            "apiVersion": constants.API_VERSION,
            "kind": constants.KIND,
            "metadata": {
                "namespace": pipeline.namespace,
                "name": pipeline.name,
                "resourceVersion": pipeline.resource_version,
            },
            "status": status.model_dump(by_alias=True, exclude_none=True, mode="json"),
        }
        self._cluster.apply(PIPELINES, body, field_manager=constants.STATUS_FIELD_MANAGER, subresource="status")
        for announcement in announcements(pipeline.status, status):
            self._announce(pipeline, announcement)

    def _announce(self, pipeline: Pipeline, announcement: Announcement) -> None:
        """Post an Event; losing one is no reason to fail, since the status says the same."""
        now = self._clock.now()
        timestamp = format_timestamp(now)
        unique = short_hash(f"{pipeline.uid}{announcement}{now.timestamp()}")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pipeline.cronjob_name}.{unique}", "namespace": pipeline.namespace},
            "type": announcement.type,
            "reason": announcement.reason,
            "message": announcement.message[: constants.MESSAGE_LIMIT_BYTES],
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
            _logger.warning(
                "Event %s on %s/%s was lost: %s", announcement.reason, pipeline.namespace, pipeline.name, error
            )
