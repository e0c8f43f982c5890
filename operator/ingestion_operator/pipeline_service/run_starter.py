"""Starts runs: creates suspended Jobs, which the operator admits. At most concurrency.maxQueuedRuns may wait.

A run with overrides has its own Secret, owned by its Job. Order of writes: the Job with an annotation that prevents its
admission, its Secret, the removal of the annotation. After a crash in between, the same call completes the run;
otherwise the operator ends it as stopped.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.cache.projections import PipelineRecord
from ingestion_operator.errors import Conflict, Rejected, Unavailable
from ingestion_operator.k8s.objects import annotations_of, labels_of, owners_of
from ingestion_operator.pipeline_service.cache_access import CacheAccess
from ingestion_operator.pipeline_service.children import ChildReader
from ingestion_operator.pipeline_service.desired import source_config_text
from ingestion_operator.pipeline_service.names import job_name
from ingestion_operator.pipeline_service.secret_store import SecretStore, job_owner
from ingestion_operator.pipeline_service.source_configs import overridden
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.render.job import RunRequest, run_job
from ingestion_operator.runs.jobs import Job
from ingestion_operator.runs.stopping import is_ending

_ATTEMPTS: Final = 3


class RunStarter:
    """Creates the Jobs of requested runs."""

    def __init__(
        self,
        cluster: ClusterApi,
        namespace: str,
        settings: Callable[[], Settings],
        clock: Clock,
        cache: CacheAccess,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._cache = cache
        self._children = ChildReader(cluster, namespace, cache)
        self._secrets = SecretStore(cluster, namespace)

    def start(
        self,
        record: PipelineRecord,
        run_id: str | None,
        config_override: Mapping[str, Any] | None,
        source_config_override: Mapping[str, Any] | None,
    ) -> str:
        """Accept a run of the pipeline in its current state and return its id. A known id does not start a second run.

        Raises:
            Rejected: The id is not a UUID, too many runs wait, the configuration to override is missing, or the run
                cannot be rendered.
            Unavailable: A Job of a deleted pipeline with the name is still being deleted.
        """
        body = record.body()
        pipeline = Pipeline.parse(body)
        run = _canonical(run_id) if run_id else str(uuid.uuid4())
        if any(known.id == run and known.state in FINISHED_STATES for known in pipeline.status.runs):
            return run  # its Job may be deleted already
        name = job_name(pipeline.cronjob_name, run)
        self._check_queue(pipeline, name)
        secret_text = None
        if config_override or source_config_override:
            config = overridden(
                pipeline,
                self._secrets,
                config_override=config_override,
                source_config_override=source_config_override,
            )
            secret_text = source_config_text(config)
            pipeline = _with_source_config_secret(pipeline, name)
        request = RunRequest(
            job=name,
            run_id=run,
            requested_at=self._clock.now().isoformat(timespec="microseconds"),
            queue_name=labels_of(body).get(constants.LABEL_QUEUE_NAME),
            is_held=secret_text is not None,
        )
        job = self._create(run_job(pipeline, self._settings(), request), pipeline)
        if secret_text is not None and constants.ANNOTATION_ADMISSION_HOLD in annotations_of(job):
            self._secrets.ensure(name, {constants.SOURCE_CONFIG_KEY: secret_text}, job_owner(job))
            self._release(job)
        return run

    def _check_queue(self, pipeline: Pipeline, name: str) -> None:
        """Raise Rejected (QueueFull) if the queue is full and does not have the Job with that name.

        Each replica counts the Jobs that it has seen, so several replicas together may accept a few more than the
        limit. Before a rejection the Jobs are listed live: another replica may have stopped some of them.
        """
        limit = pipeline.spec.concurrency.max_queued_runs
        found = self._children.read(pipeline, with_pods=False)
        if not _is_full(found.jobs, limit, name):
            return
        if not found.is_live and not _is_full(
            self._children.read(pipeline, live=True, with_pods=False).jobs, limit, name
        ):
            return
        raise Rejected(
            "QueueFull",
            f"{limit} runs of IngestionPipeline {pipeline.namespace}/{pipeline.name} wait already, which is its "
            f"spec.concurrency.maxQueuedRuns ({limit}): wait until one has started, stop some of them, or raise "
            "maxQueuedRuns (100 at most). No run was accepted",
        )

    def _create(self, job: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
        """Create the Job, or return the Job of an earlier call with the same id."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                created = self._cluster.create(JOBS, job, field_manager=constants.CLIENT_FIELD_MANAGER)
            except Conflict:
                break
            except Unavailable:
                # Perhaps only the response was lost. The name ensures that there is one Job in the end.
                if attempt == _ATTEMPTS:
                    raise
            else:
                self._cache.overlay_write(JOBS, created)
                return created
        name = job["metadata"]["name"]
        live = self._cluster.get(JOBS, self._namespace, name)
        if live is None or all(owner["uid"] != pipeline.uid for owner in owners_of(live)):
            raise Unavailable(f"Job {self._namespace}/{name} of an earlier pipeline of this name is being deleted")
        self._cache.overlay_write(JOBS, live)
        return live

    def _release(self, job: dict[str, Any]) -> None:
        metadata = {"uid": job["metadata"]["uid"], "annotations": {constants.ANNOTATION_ADMISSION_HOLD: None}}
        released = self._cluster.merge_patch(
            JOBS,
            self._namespace,
            job["metadata"]["name"],
            {"metadata": metadata},
            field_manager=constants.CLIENT_FIELD_MANAGER,
        )
        self._cache.overlay_write(JOBS, released)


def _is_full(jobs: Sequence[Job], limit: int, name: str) -> bool:
    """Return whether `limit` runs wait for admission, and no Job has the name."""
    return sum(_waits(job) for job in jobs) >= limit and all(job.name != name for job in jobs)


def _waits(job: Job) -> bool:
    is_admitted = bool(job.annotation(constants.ANNOTATION_ADMITTED_AT))
    is_requested = bool(job.annotation(constants.ANNOTATION_REQUESTED_AT))
    return job.is_suspended and is_requested and not is_admitted and not is_ending(job)


def _canonical(run_id: str) -> str:
    try:
        return str(uuid.UUID(run_id))
    except ValueError as error:
        raise Rejected(
            "InvalidParameter", "Invalid parameter value for 'pipelineRunId': OpenMetadata accepts only UUIDs"
        ) from error


def _with_source_config_secret(pipeline: Pipeline, secret: str) -> Pipeline:
    """Return the pipeline with its source configuration in another Secret."""
    reference = KeyReference(name=secret, key=constants.SOURCE_CONFIG_KEY)
    update = {"source_config": None, "source_config_secret_ref": reference}
    return replace(pipeline, spec=pipeline.spec.model_copy(update=update))
