"""OpenMetadata's pipeline service client: each operation, and what it does to which object."""

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
from ingestion_operator.pipeline_service.lookup import Directory
from ingestion_operator.pipeline_service.names import resource_name, source_config_secret_name
from ingestion_operator.pipeline_service.one_off_documents import application_job, automation_job, check_is_test
from ingestion_operator.pipeline_service.one_off_starter import OneOffStarter
from ingestion_operator.pipeline_service.ownership import manager_of
from ingestion_operator.pipeline_service.run_reports import run_status
from ingestion_operator.pipeline_service.run_starter import RunStarter
from ingestion_operator.pipeline_service.run_stopper import RunStopper
from ingestion_operator.pipeline_service.secret_store import SecretStore
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import PIPELINES, Clock, ClusterApi, LogStore, PodLogs
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.pending import with_known_causes
from ingestion_operator.runs.pods import Pod

DEFAULT_STATUS_LIMIT: Final = 10


@dataclass(frozen=True)
class _Runs:
    """A pipeline's runs as they are now, newest first, with their Jobs and pods."""

    pipeline: Pipeline
    runs: Sequence[Run]
    jobs: Sequence[Job]
    pods: Sequence[Pod]
    is_live: bool
    """Whether the API server was asked for Jobs and pods."""

    def run(self, run_id: str) -> Run | None:
        """Return the run of an id."""
        return next((run for run in self.runs if run.id == run_id), None)


class K8sPipelineServiceClient:
    """OpenMetadata's pipelines in one namespace. Keeps no state that matters; may be shared by threads.

    Names are the pipelines' bare names, as OpenMetadata sends them. All methods raise Rejected for what the caller
    has to change, NotFound for an unknown pipeline, and another ClusterError when the API server could not do its
    part; what had been done by then is completed by the same call again. Each takes a handful of calls to the API
    server, each of which the given ClusterApi bounds; only a deploy waits, at most `deploy.BOUND`.

    With a cache, status and kill read from it, and logs find their pod in it; what it does not have is asked for live
    before it counts as not found. What decides a write to a pipeline is always read live.
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
        probe: ClusterApi | None = None,
        warm_pool: WarmPool | None = None,
        store: Store | None = None,
        is_current: Callable[[], bool] = lambda: True,
        caller: str = "K8sPipelineServiceClient",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Serve a namespace.

        `archive` has the logs of pods that are gone; without it a log ends with its pod. `probe` is what
        `get_service_status` asks instead of `cluster`, to answer sooner. `warm_pool` is asked first for
        automations; who gives one sees to it that it is kept full. `store` is a cache of the namespace's pipelines,
        CronJobs, Jobs and pods, which the caller keeps up to date; while `is_current` returns False, and without a
        store, everything is read live. `caller` is who asks, for the record of a run that was stopped.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._cache = cache = CacheAccess(namespace, store, is_current)
        self._directory = Directory(cluster, namespace, clock, cache)
        self._children = ChildReader(cluster, namespace, cache)
        self._deployer = Deployer(cluster, namespace, settings, clock, self._directory, cache, sleep)
        self._starter = RunStarter(cluster, namespace, settings, clock, cache)
        self._stopper = RunStopper(cluster, namespace, clock, caller, cache)
        self._one_offs = OneOffStarter(cluster, namespace, settings)
        self._warm_pool = warm_pool
        self._secrets = SecretStore(cluster, namespace)
        self._reader = LogReader(namespace, logs, archive)
        self._health = Health(probe or cluster, namespace, settings, clock, watches=store is not None)

    def deploy_pipeline(self, entity: Mapping[str, Any]) -> Response:
        """Create or update the IngestionPipeline and its Secrets from OpenMetadata's entity.

        A pipeline that is new is suspended if the entity says so; one that is there keeps its pause. The same
        entity twice writes nothing. Raises Rejected when a field is missing or wrong, when no run could be
        rendered, when the name is another pipeline's, and when it would change what a user applied.
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
        """Accept a run: create its Job, suspended, for the operator to admit; the answer has the run's id.

        Works for paused and on-demand pipelines. The same `run_id` (a UUID) twice is one run. Overrides hold for
        this run alone and replace whole keys: of sourceConfig.config, or of its appConfig (`config_override`).
        Raises Rejected (QueueFull) when concurrency.maxQueuedRuns of the pipeline's runs wait already.
        """
        run = self._starter.start(self._directory.find_live(name), run_id, config_override, source_config_override)
        return self._response(f"Run {run} of pipeline {name} has been accepted", run_id=run)

    def delete_pipeline(self, name: str) -> Response:
        """Delete the IngestionPipeline and with it, in the background, its CronJob, Jobs, pods and Secrets.

        Repeatable: what is missing already is no error. Raises Rejected (ManagedElsewhere) for a pipeline that a user
        applied.
        """
        live = self._directory.get_live(name)
        if live is not None and not live.is_deployed:
            raise Rejected(
                "ManagedElsewhere",
                f"IngestionPipeline {self._namespace}/{live.name} is managed by {manager_of(live)}: delete it there",
            )
        if live is not None and not live.is_deleting:
            self._cluster.delete(PIPELINES, self._namespace, live.name, propagation="Foreground", uid=live.uid)
            self._cache.deleted(PIPELINES, live.name, live.uid)
        secret = source_config_secret_name(resource_name(name))
        had_secret = self._secrets.remove_orphan(secret, keep_owned=live is not None)
        found = live is not None or had_secret
        return self._response(f"Pipeline {name} has been deleted" if found else f"There is no pipeline {name}")

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        """Set spec.suspend to the named state; runs that are under way go on."""
        live = self._directory.find_live(name)
        if bool(live.body()["spec"].get("suspend")) is enabled:
            patched = self._cluster.merge_patch(
                PIPELINES,
                self._namespace,
                live.name,
                {"metadata": {"uid": live.uid}, "spec": {"suspend": not enabled}},
                field_manager=constants.CLIENT_FIELD_MANAGER,
            )
            self._cache.wrote(PIPELINES, patched)
        return self._response(f"Pipeline {name} has been {'enabled' if enabled else 'paused'}")

    def get_pipeline_status(
        self, name: str, *, only_queued: bool = False, limit: int = DEFAULT_STATUS_LIMIT
    ) -> list[RunStatus]:
        """Return runs, newest first; `only_queued` those that are accepted and do not report yet. Writes nothing."""
        version = self._settings().default_server_version
        runs = [run for run in self._runs(name).runs if not only_queued or run.state == "queued"]
        return [run_status(run, version) for run in runs[:limit]]

    def get_last_ingestion_logs(self, name: str, *, after: int | None = None) -> LogPage:
        """Return page `after` (None: the first) of the log of the last run's last attempt.

        Live while it runs; from the archive when its pod is gone. Raises NotFound when there is no run, or neither
        a pod nor the archive has its log; LogRangeError for a page that is not there; StoreError when the archive
        cannot be read.
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
        """Return a page of the log of one run: of its attempt, counted from 1, or of its last one.

        Also of a run that is in no record any more, as long as the archive has its log. Raises as
        `get_last_ingestion_logs` does.
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
        """End all runs of the pipeline that are queued or running; Jobs and records stay.

        Raises NotFound when there is nothing to end.
        """
        return self._kill(name, None)

    def kill_ingestion_run(self, name: str, run_id: str) -> Response:
        """End one run. Raises NotFound when there is no such run, or it has ended."""
        return self._kill(name, run_id.lower())

    def run_automation(self, workflow: Mapping[str, Any]) -> Response:
        """Carry out an automation of OpenMetadata, such as the test of a connection: create a Job that starts at once,
        unless a pod of the warm pool takes it.

        The Job has AUTOMATION_SECONDS, is not repeated, and goes ten minutes after its end; its Secret with the
        document goes with it. The result is written to the workflow in OpenMetadata, where the user waits for it:
        success here says only that it has been started.
        """
        if self._warm_pool is not None and (run_id := self._warm_pool.take(workflow)) is not None:
            return self._response(f"Automation {workflow['name']} has been started", run_id=run_id)
        started = self._one_offs.start(partial(automation_job, workflow))
        return self._response(f"Automation {started.entity_name} has been started", run_id=started.run_id)

    def test_connection(self, workflow: Mapping[str, Any]) -> Response:
        """Carry out an automation that must be a connection test. As `run_automation` otherwise."""
        check_is_test(workflow)
        return self.run_automation(workflow)

    def run_application(self, application: Mapping[str, Any]) -> Response:
        """Run an App of OpenMetadata once, outside any pipeline: create a Job that starts at once.

        It reports to the App's first pipeline, if it has one. The Job is not repeated and goes ten minutes after its
        end; its Secret with the App's configuration and the server's token goes with it.
        """
        started = self._one_offs.start(partial(application_job, application))
        return self._response(f"Application {started.entity_name} has been started", run_id=started.run_id)

    def get_service_status(self) -> ServiceStatus:
        """Return whether pipelines can be run, and what is missing. Raises nothing."""
        problems = self._health.problems()
        return ServiceStatus(healthy=not problems, version=self._version(), problems=problems)

    def request_get_host_ip(self) -> str:
        """Return the address that runs come from, or "unknown". Raises nothing."""
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
        """Stop the runs that have not finished, or one of them; return how many are being stopped."""
        finished = {run.job for run in found.runs if run.state in FINISHED_STATES}
        return sum(
            self._stopper.stop(job) for job in found.jobs if job.name not in finished and run_id in (None, job.run_id)
        )

    def _runs(self, name: str, *, live: bool = False) -> _Runs:
        record = self._directory.find_live(name) if live else self._directory.find(name)
        pipeline = Pipeline.parse_leniently(record.body())
        children = self._children.read(pipeline, live=live)
        known = pipeline.status.runs
        # That a Job is gone only the operator concludes: until it has recorded the end, the record stands.
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
