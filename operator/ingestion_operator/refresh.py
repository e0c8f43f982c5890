"""One look at one pipeline: children made right, runs recorded and reported, status and Events written."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.admission import Admission
from ingestion_operator.errors import ClusterError, Forbidden, Rejected
from ingestion_operator.kills import Kills
from ingestion_operator.memory_steps import MemorySteps
from ingestion_operator.models.resource import Pipeline, parse_status
from ingestion_operator.models.status import FINISHED_STATES, PipelineStatus
from ingestion_operator.models.types import format_timestamp
from ingestion_operator.naming import cronjob_name, short_hash
from ingestion_operator.own_writes import OwnWrites
from ingestion_operator.pending import PendingRuns
from ingestion_operator.ports import (
    CRONJOBS,
    EVENTS,
    JOBS,
    PIPELINES,
    PODS,
    Clock,
    ClusterApi,
    ServerAccess,
    StatusObserver,
)
from ingestion_operator.reconcile import Reconciler, is_owned
from ingestion_operator.reporter import Reporter
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.missed import judged_at
from ingestion_operator.runs.pending import with_waiting_since
from ingestion_operator.runs.pods import count_leftovers, read_pod
from ingestion_operator.runs.versions import VersionFinding, compared
from ingestion_operator.schedule import next_boundary
from ingestion_operator.server_versions import ServerVersions
from ingestion_operator.settings import Settings
from ingestion_operator.status import (
    Announcement,
    Findings,
    announcements,
    next_look,
    pipeline_status,
    report_announcements,
    unreadable_status,
    with_delivery,
)

_logger = logging.getLogger(__name__)

_RECHECK_SECONDS: Final = (5, 30)
"""How soon a pipeline that is not ready is looked at again: its cause may be gone without an event of its own.
The longer pause is for one that has not been ready for minutes."""

_LONG_NOT_READY: Final = timedelta(minutes=5)


@dataclass(frozen=True, order=True)
class PipelineKey:
    """Namespace and name."""

    namespace: str
    name: str


class Refresher:
    """Level-triggered: reads everything anew, so that it may be called at any time, any number of times."""

    def __init__(
        self,
        cluster: ClusterApi,
        settings: Callable[[], Settings],
        clock: Clock,
        reporter: Reporter,
        *,
        observers: Sequence[StatusObserver] = (),
        versions: ServerVersions | None = None,
        own_writes: OwnWrites | None = None,
    ) -> None:
        self._cluster = cluster
        self._observers = observers
        self._settings = settings
        self._clock = clock
        self._reconciler = Reconciler(cluster, own_writes)
        self._memory_steps = MemorySteps(cluster)
        self._admission = Admission(cluster)
        self._kills = Kills(cluster)
        self._pending = PendingRuns(cluster, settings)
        self._reporter = reporter
        self._versions = versions

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
            before, unreadable = parse_status(body), unreadable_status(body, rejected, now)
            self._write(body, before, unreadable, announcements(before, unreadable), ())
            return None
        findings = self._look(pipeline, observed_pods, now)
        status = pipeline_status(pipeline, findings, now)
        written = self._write(body, pipeline.status, status, announcements(pipeline.status, status), findings.jobs)
        self._memory_steps.settle(pipeline, findings.jobs, status.runs)
        leftovers = count_leftovers(findings.jobs, findings.pods)
        held_until = self._admission.settle(pipeline, findings.jobs, status.runs, now, leftovers=leftovers)
        given_up_at = self._pending.give_up(pipeline, findings.waiting, status.runs, now)
        lost_at = self._pending.give_up_lost(pipeline, status.runs, findings.jobs, findings.pods, now)
        # Last, since it waits for another server; the first write has noted what is owed.
        live_pods = {pod["metadata"]["name"] for pod in findings.pods if not read_pod(pod).is_finished}
        delivery = self._reporter.report(pipeline, status.runs, live_pods)
        told = with_delivery(pipeline, status, delivery, now)
        self._write(written, status, told, report_announcements(status, delivery), findings.jobs)
        self._admission.prune(pipeline, findings.jobs, told.runs)
        missed_at = judged_at(findings.cronjob, findings.jobs, now) if findings.cronjob else None
        moments = [held_until, given_up_at, lost_at, missed_at, delivery.again_at]
        if findings.rejected is not None:
            moments.append(now + _recheck_pause(status, now))
        else:
            schedule = pipeline.spec.schedule
            boundary = next_boundary(schedule.start_date, schedule.end_date, now) if schedule else None
            moments.append(next_look(status, boundary))
        return min((moment for moment in moments if moment), default=None)

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
        if self._kills.carry_out(pipeline, jobs, now):
            jobs = self._cluster.list(JOBS, pipeline.namespace, selector)
        known = pipeline.status.runs
        # A pod may outlive its Job by its grace period.
        may_have_pods = jobs or any(run.state not in FINISHED_STATES or run.is_unreported for run in known)
        listed = self._cluster.list(PODS, pipeline.namespace, selector) if may_have_pods else []
        pods = list({pod["metadata"]["name"]: pod for pod in [*observed_pods, *listed]}.values())
        runs = with_waiting_since(runs_of(jobs, pods, known, now), known, jobs, pods, now)
        waits = self._pending.find(runs, jobs, pods)
        return Findings(
            cronjob=cronjob,
            runs=self._pending.explain(pipeline, runs, waits, now),
            rejected=rejected,
            jobs=jobs,
            waiting=waits,
            pods=listed,
            version=self._version(pipeline),
        )

    def _version(self, pipeline: Pipeline) -> VersionFinding | None:
        """Compare the server with the image of its runs, as far as both are known at this moment."""
        server, settings = pipeline.spec.server, self._settings()
        if self._versions is None or (server.version or settings.default_server_version) not in settings.runner_images:
            return None
        access = ServerAccess(server.host_port.rstrip("/"), server.verification)
        version = self._versions.of(access, (pipeline.namespace, pipeline.name))
        if version is None:
            return None
        return compared(
            server.host_port, version, settings.runner_image(server.version).version, sorted(settings.runner_images)
        )

    def _owned_cronjob(self, pipeline: Pipeline) -> dict[str, Any] | None:
        """Return the CronJob that an earlier, valid spec has left in place, if any."""
        try:
            live = self._cluster.get(CRONJOBS, pipeline.namespace, pipeline.cronjob_name)
        except Forbidden:
            return None
        return live if live is not None and is_owned(live, pipeline) else None

    def _write(
        self,
        pipeline: dict[str, Any],
        before: PipelineStatus,
        status: PipelineStatus,
        events: Sequence[Announcement],
        jobs: Sequence[dict[str, Any]],
    ) -> dict[str, Any]:
        """Write the status if it changed, then tell what changed; return the pipeline as it is now.

        A stale writer is refused with Conflict.
        """
        metadata = pipeline["metadata"]
        if status != before:
            body = {
                "apiVersion": constants.API_VERSION,
                "kind": constants.KIND,
                "metadata": {key: metadata[key] for key in ("namespace", "name", "resourceVersion")},
                "status": status.model_dump(by_alias=True, exclude_none=True, mode="json"),
            }
            manager = constants.STATUS_FIELD_MANAGER
            pipeline = self._cluster.apply(PIPELINES, body, field_manager=manager, subresource="status")
            for event in events:
                self._announce(metadata, event)
        for observer in self._observers:
            observer.saw(pipeline, before, status, jobs)
        return pipeline

    def _announce(self, pipeline: dict[str, Any], announcement: Announcement) -> None:
        """Post an Event; losing one is no reason to fail, since the status says the same."""
        now = self._clock.now()
        timestamp = format_timestamp(now)
        unique = short_hash(f"{pipeline['uid']}{announcement}{now.timestamp()}")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{cronjob_name(pipeline['name'])}.{unique}", "namespace": pipeline["namespace"]},
            "type": announcement.type,
            "reason": announcement.reason,
            "message": announcement.message[: constants.MESSAGE_LIMIT_BYTES],
            "involvedObject": {
                "apiVersion": constants.API_VERSION,
                "kind": constants.KIND,
                "namespace": pipeline["namespace"],
                "name": pipeline["name"],
                "uid": pipeline["uid"],
                "resourceVersion": pipeline["resourceVersion"],
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
                "Event %s on %s/%s was lost: %s", announcement.reason, pipeline["namespace"], pipeline["name"], error
            )


def _recheck_pause(status: PipelineStatus, now: datetime) -> timedelta:
    since = next((c.last_transition_time for c in status.conditions if c.type == "Ready"), now)
    soon, later = _RECHECK_SECONDS
    return timedelta(seconds=later if now - since > _LONG_NOT_READY else soon)
