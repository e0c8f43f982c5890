"""Reads the input of a reconciliation: from the cache, and live where the cache is not sufficient."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Run
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import ClusterError, Forbidden
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, ClusterReader, ServerAccess
from ingestion_operator.reconcile.cronjob import is_owned
from ingestion_operator.reconcile.observed import Observed, permission_missing
from ingestion_operator.reporting.server_versions import ServerVersions
from ingestion_operator.runs.history import missing_jobs, owned
from ingestion_operator.runs.jobs import CronJob, PipelineKey, read_cronjob
from ingestion_operator.runs.pending import Waiting
from ingestion_operator.runs.pod_start_failures import Cause, cause_in_events
from ingestion_operator.runs.pods import Pod
from ingestion_operator.runs.versions import VersionFinding, compare_versions

_logger = logging.getLogger(__name__)

_REPLACE_GRACE: Final = timedelta(seconds=5)


class Observer:
    """Reads pipelines with their children. Thread-safe."""

    def __init__(self, cluster: ClusterReader, store: Store, versions: ServerVersions | None = None) -> None:
        self._cluster = cluster
        self._store = store
        self._versions = versions
        self._absent_since: dict[PipelineKey, dict[str, datetime]] = {}
        """By pipeline: the Jobs of unfinished runs that the cache lacks, by name, each with the time since then."""

    def pipeline(self, key: PipelineKey) -> Pipeline | None:
        """Return the pipeline from the cache; None if it is gone."""
        record = self._store.pipeline(key)
        if record is None:
            return None
        return Pipeline.parse_leniently(record.body(), record.spec_changed_at, record.status_written_at)

    def observe(self, pipeline: Pipeline, remembered: Sequence[Run], settings: Settings, now: datetime) -> Observed:
        """Return the pipeline with its children; `remembered` is as in Observed. Raises ClusterError.

        Absence in the cache never ends a run: a GET from the API server confirms that the Job is absent.
        """
        namespace, name = pipeline.namespace, pipeline.cronjob_name
        blocker = None
        try:
            cronjob = self._cronjob(namespace, name)
        except Forbidden as error:
            cronjob, blocker = None, permission_missing(error)
        own_cronjob = cronjob.uid if cronjob is not None and is_owned(cronjob, pipeline) else None
        jobs = owned(self._store.jobs_of(namespace, name), pipeline.uid, own_cronjob)
        known = [*pipeline.status.runs, *remembered]
        gone, requeue_at = self._gone(pipeline, missing_jobs(jobs, known), now)
        job_uids, known_jobs = {job.uid for job in jobs}, {run.job for run in known}
        pods = _of_jobs(self._store.pods_of(namespace, name), job_uids, known_jobs)
        present = {pod.uid for pod in pods}
        deleted = _of_jobs(self._store.recently_deleted_pods(namespace, name), job_uids, known_jobs)
        return Observed(
            pipeline=pipeline,
            cronjob=cronjob,
            jobs=jobs,
            pods=pods,
            remembered=remembered,
            deleted_pods=[pod for pod in deleted if pod.uid not in present],
            blocker=blocker,
            gone_jobs=gone,
            requeue_at=requeue_at,
            version=self._version(pipeline, settings),
        )

    def has_all_active_jobs(self, observed: Observed) -> bool:
        """Return whether the cache has all Jobs in the CronJob's status.active. Never raises.

        The connection of a watch may be dead: no run may be admitted next to one that the cache does not have.
        """
        cronjob = observed.cronjob
        if cronjob is None or not is_owned(cronjob, observed.pipeline):
            return True
        try:
            body = self._cluster.get(CRONJOBS, cronjob.namespace, cronjob.name)
        except ClusterError:
            return False  # checked again soon
        active = ((body or {}).get("status") or {}).get("active") or []
        return {one.get("uid") for one in active} <= {job.uid for job in observed.jobs}

    def causes(self, pipeline: Pipeline, waits: Sequence[Waiting]) -> Mapping[str, Cause] | None:
        """Return, by run id, the causes in the Events of pods that do not start, with one list request per pod.

        None if Events cannot be read: their etcd may be unreachable, and an older Role has no permission.
        """
        found: dict[str, Cause] = {}
        for wait in waits:
            fields = {"involvedObject.uid": wait.events_of}
            try:
                events = self._cluster.list(EVENTS, pipeline.namespace, {}, fields=fields)
            except ClusterError as error:
                _logger.info("Pipeline %s/%s: Events cannot be read: %s", pipeline.namespace, pipeline.name, error)
                return None
            if (cause := cause_in_events(events)) is not None:
                found[wait.run_id] = cause
        return found

    def _gone(
        self, pipeline: Pipeline, missing: Sequence[str], now: datetime
    ) -> tuple[frozenset[str], datetime | None]:
        """Return which of the Jobs are absent in the API server too, and when to check the others again.

        With policy Replace the CronJob controller deletes a Job before it creates the next one. A short grace period
        lets the next Job appear, which distinguishes a replaced run from a deleted one.
        """
        key = PipelineKey(pipeline.namespace, pipeline.name)
        before = self._absent_since.pop(key, {})
        since = {name: before.get(name, now) for name in missing}  # a Job that appeared again is dropped
        grace = _REPLACE_GRACE if pipeline.spec.concurrency.policy == "Replace" else timedelta()
        if since:
            self._absent_since[key] = since
        due = [name for name, moment in since.items() if now - moment >= grace]
        gone = frozenset(name for name in due if self._cluster.get(JOBS, key.namespace, name) is None)
        return gone, now + grace if len(due) < len(since) else None

    def forget(self, key: PipelineKey) -> None:
        """Drop the state of a deleted pipeline."""
        self._absent_since.pop(key, None)

    def _cronjob(self, namespace: str, name: str) -> CronJob | None:
        """Return the CronJob from the cache, else live: one without the operator's label is not in the cache."""
        cached = self._store.cronjob(namespace, name)
        if cached is not None:
            return cached
        body = self._cluster.get(CRONJOBS, namespace, name)
        return read_cronjob(body) if body is not None else None

    def _version(self, pipeline: Pipeline, settings: Settings) -> VersionFinding | None:
        """Compare the version of the server with the image of its runs; None if one of them is unknown."""
        server = pipeline.spec.server
        is_known = (server.version or settings.default_server_version) in settings.runner_images
        if self._versions is None or not is_known or pipeline.invalid or not settings.allows_server(server.host_port):
            return None
        access = ServerAccess(server.host_port.rstrip("/"), server.verification)
        version = self._versions.get(access, (pipeline.namespace, pipeline.name))
        if version is None:
            return None
        image = settings.runner_image(server.version)
        return compare_versions(server.host_port, version, image.version, sorted(settings.runner_images))


def _of_jobs(pods: Iterable[Pod], job_uids: Collection[str], known_jobs: Collection[str]) -> list[Pod]:
    """Return the pods of the pipeline's Jobs, and those of deleted Jobs whose run is recorded."""
    return [
        pod for pod in pods if pod.owner is not None and (pod.owner.uid in job_uids or pod.owner.name in known_jobs)
    ]
