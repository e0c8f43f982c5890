"""OpenMetadata's pipeline service client: each operation, and what it does to which object."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import NotFound, Rejected
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.service import LogPage, Response, RunStatus, ServiceStatus
from ingestion_operator.models.status import FINISHED_STATES, Run
from ingestion_operator.pipeline_service.deploy import Deployer
from ingestion_operator.pipeline_service.directory import Directory, is_deployed, manager_of
from ingestion_operator.pipeline_service.health import Health
from ingestion_operator.pipeline_service.log_reader import LogReader
from ingestion_operator.pipeline_service.names import check_name, resource_name, source_config_secret_name
from ingestion_operator.pipeline_service.one_off_documents import application_job, automation_job, check_is_test
from ingestion_operator.pipeline_service.one_off_starter import OneOffStarter
from ingestion_operator.pipeline_service.run_reports import run_status
from ingestion_operator.pipeline_service.run_starter import RunStarter
from ingestion_operator.pipeline_service.run_stopper import RunStopper
from ingestion_operator.pipeline_service.secret_store import SecretStore
from ingestion_operator.pipeline_service.warm_pool import WarmPool
from ingestion_operator.ports import JOBS, PIPELINES, PODS, Clock, ClusterApi, LogStore, PodLogs
from ingestion_operator.runs.classify import run_id as run_id_of
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.pending import with_known_causes
from ingestion_operator.settings import Settings

DEFAULT_STATUS_LIMIT: Final = 10


@dataclass(frozen=True)
class _Runs:
    """A pipeline's runs as they are now, newest first, and what they were told from."""

    pipeline: Pipeline
    runs: list[Run]
    jobs: list[dict[str, Any]]
    pods: list[dict[str, Any]]


class K8sPipelineServiceClient:
    """OpenMetadata's pipelines in one namespace. Keeps no state that matters; may be shared by threads.

    Names are the pipelines' bare names, as OpenMetadata sends them. All methods raise Rejected for what the caller
    has to change, NotFound for an unknown pipeline, and another ClusterError when the API server could not do its
    part; what had been done by then is completed by the same call again. Each takes a handful of calls to the API
    server, each of which the given ClusterApi bounds; only a deploy waits, at most `deploy.BOUND`.
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
        caller: str = "K8sPipelineServiceClient",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Serve a namespace.

        `archive` has the logs of pods that are gone; without it a log ends with its pod. `probe` is what
        `get_service_status` asks instead of `cluster`, to answer sooner. `warm_pool` is asked first for
        automations; who gives one sees to it that it is kept full. `caller` is who asks, as people shall read it in the
        record of a run that was stopped.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._directory = Directory(cluster, namespace, clock)
        self._deployer = Deployer(cluster, namespace, settings, clock, self._directory, sleep)
        self._starter = RunStarter(cluster, namespace, settings, clock)
        self._stopper = RunStopper(cluster, namespace, clock, caller)
        self._one_offs = OneOffStarter(cluster, namespace, settings)
        self._warm_pool = warm_pool
        self._secrets = SecretStore(cluster, namespace)
        self._reader = LogReader(namespace, logs, archive)
        self._health = Health(probe or cluster, namespace, settings, clock)

    def deploy_pipeline(self, entity: Mapping[str, Any]) -> Response:
        """Create or update the IngestionPipeline and its Secrets from OpenMetadata's entity.

        A pipeline that is new is suspended if the entity says so; one that is there keeps its pause. The same
        entity twice writes nothing. Raises Rejected when a field is missing or wrong, when no run could be
        rendered, when the name is another pipeline's, and when it would change what somebody else applied.
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
        """
        run = self._starter.start(self._directory.find(name), run_id, config_override, source_config_override)
        return self._response(f"Run {run} of pipeline {name} has been accepted", run_id=run)

    def delete_pipeline(self, name: str) -> Response:
        """Delete the IngestionPipeline and with it, in the background, its CronJob, Jobs, pods and Secrets.

        Repeatable: what is missing already is no error. Raises Rejected (ManagedElsewhere) for a pipeline that
        somebody applied.
        """
        body = self._directory.find_fresh(check_name(name))
        if body is not None and not is_deployed(body):
            raise Rejected(
                "ManagedElsewhere",
                f"IngestionPipeline {self._namespace}/{body['metadata']['name']} is managed by {manager_of(body)}: "
                "delete it there",
            )
        if body is not None and not body["metadata"].get("deletionTimestamp"):
            metadata = body["metadata"]
            self._cluster.delete(
                PIPELINES, self._namespace, metadata["name"], propagation="Foreground", uid=metadata["uid"]
            )
        secret = source_config_secret_name(resource_name(name))
        had_secret = self._secrets.remove_orphan(secret, keep_owned=body is not None)
        found = body is not None or had_secret
        return self._response(f"Pipeline {name} has been deleted" if found else f"There is no pipeline {name}")

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        """Set spec.suspend to the named state; runs that are under way go on."""
        body = self._directory.find(name)
        if bool(body["spec"].get("suspend")) is enabled:
            metadata = body["metadata"]
            self._cluster.merge_patch(
                PIPELINES,
                self._namespace,
                metadata["name"],
                {"metadata": {"uid": metadata["uid"]}, "spec": {"suspend": not enabled}},
                field_manager=constants.CLIENT_FIELD_MANAGER,
            )
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
        run = next((run for run in found.runs if run.id == run_id.lower()), None)
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
        """Tell whether pipelines can be run, and name what is missing. Raises nothing."""
        problems = self._health.problems()
        return ServiceStatus(healthy=not problems, version=self._version(), problems=problems)

    def request_get_host_ip(self) -> str:
        """Return the address that runs come from, or "unknown". Raises nothing."""
        return self._health.host_ip()

    def _kill(self, name: str, run_id: str | None) -> Response:
        found = self._runs(name)
        finished = {run.job for run in found.runs if run.state in FINISHED_STATES}
        jobs = [
            job for job in found.jobs if job["metadata"]["name"] not in finished and run_id in (None, run_id_of(job))
        ]
        stopped = sum(self._stopper.stop(job) for job in jobs)
        if not stopped:
            what = f"run {run_id} of pipeline {name!r} is not under way" if run_id else f"pipeline {name!r} has no run"
            raise NotFound(f"{what}: nothing to stop", code=404)
        return self._response(f"{stopped} runs of pipeline {name} are being stopped", run_id=run_id)

    def _runs(self, name: str) -> _Runs:
        pipeline = Pipeline.parse(self._directory.find(name))
        selector = {constants.LABEL_PIPELINE: pipeline.cronjob_name}
        jobs = self._cluster.list(JOBS, self._namespace, selector)
        pods = self._cluster.list(PODS, self._namespace, selector) if jobs else []
        known = pipeline.status.runs
        return _Runs(pipeline, with_known_causes(runs_of(jobs, pods, known, self._now()), known), jobs, pods)

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)

    def _response(self, reason: str, *, run_id: str | None = None) -> Response:
        return Response(reason=reason, version=self._version(), run_id=run_id)

    def _version(self) -> str:
        return self._settings().runner_image(None).version
