"""Starting runs: a suspended Job each, which the operator admits.

A run with overrides needs a Secret of its own, owned by its Job. Order of writes: the Job, held back by an
annotation; its Secret; the annotation's removal. After a crash in between, the same call completes the run;
without one the operator ends it as stopped.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Conflict, Rejected, Unavailable
from ingestion_operator.models.references import KeyReference
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import FINISHED_STATES
from ingestion_operator.pipeline_service.desired import source_config_text
from ingestion_operator.pipeline_service.names import job_name
from ingestion_operator.pipeline_service.secret_store import SecretStore, job_owner
from ingestion_operator.pipeline_service.source_configs import overridden
from ingestion_operator.ports import JOBS, Clock, ClusterApi
from ingestion_operator.render.job import RunRequest, run_job
from ingestion_operator.settings import Settings

_ATTEMPTS: Final = 3


class RunStarter:
    """Creates the Jobs of runs that somebody asked for."""

    def __init__(self, cluster: ClusterApi, namespace: str, settings: Callable[[], Settings], clock: Clock) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._secrets = SecretStore(cluster, namespace)

    def start(
        self,
        body: dict[str, Any],
        run_id: str | None,
        config_override: Mapping[str, Any] | None,
        source_config_override: Mapping[str, Any] | None,
    ) -> str:
        """Accept a run of the pipeline and return its id; an id that is known already is no second run.

        Raises Rejected for an id that is no UUID, for overrides without something to put them over, and for what
        cannot be rendered; Unavailable while a Job of an earlier pipeline of the name is going away.
        """
        pipeline = Pipeline.parse(body)
        run = _canonical(run_id) if run_id else str(uuid.uuid4())
        if any(known.id == run and known.state in FINISHED_STATES for known in pipeline.status.runs):
            return run  # its Job may be gone already
        name = job_name(pipeline.cronjob_name, run)
        secret_text = None
        if config_override or source_config_override:
            config = overridden(
                pipeline,
                self._secrets,
                config_override=config_override,
                source_config_override=source_config_override,
            )
            secret_text = source_config_text(config)
            pipeline = _reading(pipeline, name)
        request = RunRequest(
            job=name,
            run_id=run,
            requested_at=self._clock.now().isoformat(timespec="microseconds"),
            queue_name=body["metadata"].get("labels", {}).get(constants.LABEL_QUEUE_NAME),
            is_held=secret_text is not None,
        )
        job = self._create(run_job(pipeline, self._settings(), request), pipeline)
        if secret_text is not None and constants.ANNOTATION_HOLD in job["metadata"].get("annotations", {}):
            self._secrets.ensure(name, {constants.SOURCE_CONFIG_KEY: secret_text}, job_owner(job))
            self._release(job)
        return run

    def _create(self, job: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
        """Create the Job or return the one that an earlier call with the same id has left."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._cluster.create(JOBS, job, field_manager=constants.CLIENT_FIELD_MANAGER)
            except Conflict:
                break
            except Unavailable:
                # The answer may be all that was lost: the name makes sure that there is one Job in the end.
                if attempt == _ATTEMPTS:
                    raise
        name = job["metadata"]["name"]
        live = self._cluster.get(JOBS, self._namespace, name)
        owners = live["metadata"].get("ownerReferences", []) if live else []
        if live is None or not any(owner["uid"] == pipeline.uid for owner in owners):
            raise Unavailable(f"Job {self._namespace}/{name} of an earlier pipeline of this name is going away")
        return live

    def _release(self, job: dict[str, Any]) -> None:
        metadata = {"uid": job["metadata"]["uid"], "annotations": {constants.ANNOTATION_HOLD: None}}
        self._cluster.merge_patch(
            JOBS,
            self._namespace,
            job["metadata"]["name"],
            {"metadata": metadata},
            field_manager=constants.CLIENT_FIELD_MANAGER,
        )


def _canonical(run_id: str) -> str:
    try:
        return str(uuid.UUID(run_id))
    except ValueError as error:
        raise Rejected(
            "InvalidParameter", "Invalid parameter value for 'pipelineRunId': OpenMetadata takes only UUIDs"
        ) from error


def _reading(pipeline: Pipeline, secret: str) -> Pipeline:
    """Return the pipeline with its source configuration in another Secret."""
    reference = KeyReference(name=secret, key=constants.SOURCE_CONFIG_KEY)
    update = {"source_config": None, "source_config_secret_ref": reference}
    return replace(pipeline, spec=pipeline.spec.model_copy(update=update))
