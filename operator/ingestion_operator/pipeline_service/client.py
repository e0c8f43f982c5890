"""OpenMetadata's pipeline service client: its operations on Kubernetes objects."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.service import LogPage, Response, RunStatus, ServiceStatus
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.cache.store import Store
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.logs.paging import LogReader
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.children import ChildReader
from ingestion_operator.pipeline_service.deploy import Deployer
from ingestion_operator.pipeline_service.health import Health
from ingestion_operator.pipeline_service.lookup import PipelineLookup
from ingestion_operator.pipeline_service.names import resource_name, source_config_secret_name
from ingestion_operator.pipeline_service.one_off_documents import application_job, automation_job, check_is_test
from ingestion_operator.pipeline_service.one_off_starter import OneOffStarter
from ingestion_operator.pipeline_service.ownership import manager_of
from ingestion_operator.pipeline_service.run_reports import run_status
from ingestion_operator.pipeline_service.run_starter import RunStarter
from ingestion_operator.pipeline_service.run_stopper import RunStopper
from ingestion_operator.pipeline_service.secret_store import SecretStore
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi, ClusterReader, LogStore, PodLogs
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pending import with_known_causes
from ingestion_operator.runs.pods import Pod

DEFAULT_STATUS_LIMIT: Final = 10


@dataclass(frozen=True)
class _Runs:
    """The current runs of a pipeline, newest first, with their Jobs and pods."""

    pipeline: Pipeline
    runs: Sequence[Run]
    jobs: Sequence[Job]
    pods: Sequence[Pod]
    is_live: bool
    """Whether Jobs and pods were read from the API server."""

    def run(self, run_id: str) -> Run | None:
        """Return the run with an id, or None."""
        return next((run for run in self.runs if run.id == run_id), None)


class K8sPipelineServiceClient:
    """OpenMetadata's pipelines in one namespace. It keeps no persistent state and may be shared by threads.

    Names are the names of pipelines in OpenMetadata, without the service. All methods raise Rejected for an invalid
    request, NotFound for an unknown pipeline, and another ClusterError if the API server fails. After such an error
    the same call completes a partial change. Each method makes a few calls to the API server, which the given
    ClusterApi bounds in time. Only a deploy waits, for at most `deploy.BOUND`.

    With a cache, status, kill and logs read Jobs and pods from it. Objects that are missing in the cache are read live
    before they count as not found. A write to a pipeline is always decided on a live read.
    """

    def __init__(
        self,
        cluster: ClusterApi,
        *,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        logs: PodLogs,
        archive: LogStore | None = None,
        probe: ClusterReader | None = None,
        warm_pool: WarmPool | None = None,
        store: Store | None = None,
        is_current: Callable[[], bool] = lambda: True,
        caller: str = "K8sPipelineServiceClient",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Serve a namespace.

        Args:
            cluster: The API server.
            namespace: The namespace of the pipelines.
            settings: Returns the settings in force.
            clock: The time of the API server.
            logs: The logs of pods.
            archive: The logs of deleted pods; without it a log is deleted with its pod.
            probe: Is used by `get_service_status` instead of `cluster`, with shorter time limits.
            warm_pool: Runs automations if it has a ready pod. The caller maintains it.
            store: A cache of the namespace's pipelines, CronJobs, Jobs and pods, which the caller keeps up to date.
            is_current: While it returns False, and without a store, everything is read live.
            caller: The name of the caller in the record of a stopped run.
            sleep: Waits for a number of seconds.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._cache = cache = CacheAccess(namespace, store, is_current)
        self._lookup = PipelineLookup(cluster, namespace, clock, cache)
        self._children = ChildReader(cluster, namespace, cache)
        self._deployer = Deployer(cluster, namespace, settings, clock, self._lookup, cache, sleep)
        self._starter = RunStarter(cluster, namespace, settings, clock, cache)
        self._stopper = RunStopper(cluster, namespace, clock, caller, cache)
        self._one_offs = OneOffStarter(cluster, namespace, settings)
        self._warm_pool = warm_pool
        self._secrets = SecretStore(cluster, namespace)
        self._reader = LogReader(namespace, logs, archive)
        self._health = Health(probe or cluster, namespace, settings, clock, watches=store is not None)

    def deploy_pipeline(self, entity: Mapping[str, Any]) -> Response:
        """Create or update the IngestionPipeline and its Secrets from OpenMetadata's entity.

        A new pipeline is suspended if the entity is paused or disabled. An existing pipeline keeps spec.suspend. The
        same entity again writes nothing.

        Raises:
            Rejected: A field is missing or invalid, a run cannot be rendered, the name belongs to another pipeline, or
                the deploy would change a pipeline that a user applied.
        """
        return self._response(self._deployer.deploy(entity))

    def run_pipeline(
        self,
        name: str,
        *,
        run_id: str | None = None,
        config_override: Mapping[str, Any] | None = None,
        source_config_override: Mapping[str, Any] | None = None,
    ) -> Response:
        """Accept a run: create its suspended Job, which the operator admits. The response has the run's id.

        Works for paused and on-demand pipelines. Calls with the same `run_id` (a UUID) are one run. Overrides apply to
        this run only and replace whole keys of sourceConfig.config, or of its appConfig (`config_override`).

        Raises:
            Rejected: QueueFull: concurrency.maxQueuedRuns of the pipeline's runs wait already.
        """
        run = self._starter.start(self._lookup.find_live(name), run_id, config_override, source_config_override)
        return self._response(f"Run {run} of pipeline {name} has been accepted", run_id=run)

    def delete_pipeline(self, name: str) -> Response:
        """Delete the IngestionPipeline; its CronJob, Jobs, pods and Secrets are deleted in the background.

        Repeatable: a missing pipeline is not an error.

        Raises:
            Rejected: ManagedElsewhere: a user applied the pipeline.
        """
        live = self._lookup.get_live(name)
        if live is not None and not live.is_deployed:
            raise Rejected(
                "ManagedElsewhere",
                f"IngestionPipeline {self._namespace}/{live.name} is managed by {manager_of(live)}: delete it there",
            )
        if live is not None and not live.is_deleting:
            self._cluster.delete(PIPELINES, self._namespace, live.name, propagation="Foreground", uid=live.uid)
            self._cache.overlay_deletion(PIPELINES, live.name, live.uid)
        secret = source_config_secret_name(resource_name(name))
        had_secret = self._secrets.remove_orphan(secret, keep_owned=live is not None)
        found = live is not None or had_secret
        return self._response(f"Pipeline {name} has been deleted" if found else f"There is no pipeline {name}")

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        """Resume or pause the schedule with spec.suspend. Current runs continue."""
        live = self._lookup.find_live(name)
        if bool(live.body()["spec"].get("suspend")) is enabled:
            patched = self._cluster.merge_patch(
                PIPELINES,
                self._namespace,
                live.name,
                {"metadata": {"uid": live.uid}, "spec": {"suspend": not enabled}},
                field_manager=constants.CLIENT_FIELD_MANAGER,
            )
            self._cache.overlay_write(PIPELINES, patched)
        return self._response(f"Pipeline {name} has been {'enabled' if enabled else 'paused'}")

    def get_pipeline_status(
        self, name: str, *, only_queued: bool = False, limit: int = DEFAULT_STATUS_LIMIT
    ) -> list[RunStatus]:
        """Return the last runs, newest first, or only those that are queued. Writes nothing."""
        version = self._settings().default_server_version
        runs = [run for run in self._runs(name).runs if not only_queued or run.state == "queued"]
        return [run_status(run, version) for run in runs[:limit]]

    def get_last_ingestion_logs(self, name: str, *, after: int | None = None) -> LogPage:
        """Return page `after` (None: the first) of the log of the last run's last attempt.

        The log comes from the archive, and from the pod for the part that is not archived.

        Raises:
            NotFound: The pipeline has not run, or neither a pod nor the archive has its log.
            LogRangeError: The page does not exist.
            StoreError: The archive cannot be read.
        """
        found = self._runs(name)
        if not (found.runs or found.is_live):
            found = self._runs(name, live=True)
        if not found.runs:
            raise NotFound(f"pipeline {name!r} has not run yet", code=404)
        return self._reader.page(found.pipeline, found.runs[0], found.pods, after, None)

    def get_ingestion_logs(
        self, name: str, run_id: str, *, attempt: int | None = None, after: int | None = None
    ) -> LogPage:
        """Return a page of the log of one run: of the given attempt, counted from 1, or of the last one.

        A run without a record is found as long as the archive has its log. Raises the errors of
        `get_last_ingestion_logs`.
        """
        found = self._runs(name)
        run = found.run(run_id.lower())
        if run is None and not found.is_live:
            found = self._runs(name, live=True)
            run = found.run(run_id.lower())
        if run is None:
            return self._reader.archived_page(found.pipeline, run_id.lower(), after, attempt)
        return self._reader.page(found.pipeline, run, found.pods, after, attempt)

    def kill_ingestion(self, name: str) -> Response:
        """Stop all queued and running runs of the pipeline. Their Jobs and records stay.

        Raises:
            NotFound: No run is queued or running.
        """
        return self._kill(name, None)

    def kill_ingestion_run(self, name: str, run_id: str) -> Response:
        """Stop one run. Raises NotFound if it does not exist or has ended."""
        return self._kill(name, run_id.lower())

    def run_automation(self, workflow: Mapping[str, Any]) -> Response:
        """Start an automation of OpenMetadata, such as a connection test, in a warm pod or in a new Job.

        The Job has a deadline of AUTOMATION_SECONDS and no retries. Ten minutes after its end it is deleted together
        with its Secret. The result is written to the workflow in OpenMetadata, where the user waits for it. The
        response of this method only confirms the start.
        """
        if self._warm_pool is not None and (run_id := self._warm_pool.take(workflow)) is not None:
            return self._response(f"Automation {workflow['name']} has been started", run_id=run_id)
        started = self._one_offs.start(partial(automation_job, workflow))
        return self._response(f"Automation {started.entity_name} has been started", run_id=started.run_id)

    def test_connection(self, workflow: Mapping[str, Any]) -> Response:
        """Start a connection test, as `run_automation` does. Raises Rejected for another automation."""
        check_is_test(workflow)
        return self.run_automation(workflow)

    def run_application(self, application: Mapping[str, Any]) -> Response:
        """Run an App of OpenMetadata once, in a new Job without a pipeline.

        It reports to the App's first pipeline, if there is one. The Job has no retries. Ten minutes after its end it is
        deleted together with its Secret, which has the App's configuration and the server's token.
        """
        started = self._one_offs.start(partial(application_job, application))
        return self._response(f"Application {started.entity_name} has been started", run_id=started.run_id)

    def get_service_status(self) -> ServiceStatus:
        """Return whether pipelines can run, and the problems that prevent it. Never raises."""
        problems = self._health.problems()
        return ServiceStatus(healthy=not problems, version=self._version(), problems=problems)

    def request_get_host_ip(self) -> str:
        """Return the source address of runs, or "unknown". Never raises."""
        return self._health.host_ip()

    def _kill(self, name: str, run_id: str | None) -> Response:
        found = self._runs(name)
        stopped = self._stop(found, run_id)
        if not (stopped or found.is_live):
            stopped = self._stop(self._runs(name, live=True), run_id)
        if not stopped:
            what = f"run {run_id} of pipeline {name!r} is not under way" if run_id else f"pipeline {name!r} has no run"
            raise NotFound(f"{what}: nothing to stop", code=404)
        return self._response(f"{stopped} runs of pipeline {name} are being stopped", run_id=run_id)

    def _stop(self, found: _Runs, run_id: str | None) -> int:
        """Stop all unfinished runs, or one of them; return how many are being stopped."""
        finished = {run.job for run in found.runs if run.state in FINISHED_STATES}
        return sum(
            self._stopper.stop(job) for job in found.jobs if job.name not in finished and run_id in (None, job.run_id)
        )

    def _runs(self, name: str, *, live: bool = False) -> _Runs:
        record = self._lookup.find_live(name) if live else self._lookup.find(name)
        pipeline = Pipeline.parse_leniently(record.body())
        children = self._children.read(pipeline, live=live)
        known = pipeline.status.runs
        # Only the operator decides that a Job is gone: until it records the end, the recorded state is returned.
        runs = runs_of(
            children.jobs,
            children.pods,
            known,
            self._now(),
            gone=frozenset(),
            replaces=pipeline.spec.concurrency.policy == "Replace",
        )
        return _Runs(pipeline, with_known_causes(runs, known), children.jobs, children.pods, children.is_live)

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)

    def _response(self, reason: str, *, run_id: str | None = None) -> Response:
        return Response(reason=reason, version=self._version(), run_id=run_id)

    def _version(self) -> str:
        return self._settings().runner_image(None).version
