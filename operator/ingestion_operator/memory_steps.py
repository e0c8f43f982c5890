"""Repeating runs with more memory, one pipeline at a time.

Like admission: the operator alone does it, with one worker for each pipeline, and every write carries the
resourceVersion that it was decided from.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import ClusterError, Forbidden, Invalid
from ingestion_operator.memory_sizes import with_memory
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.models.status import Run
from ingestion_operator.ports import JOBS, ClusterApi
from ingestion_operator.runs.repetition import Action, End, Job, Note, Remove, Resume, Stop, Suspend, decide
from ingestion_operator.runs.successor import successor
from ingestion_operator.runs.texts import cut

_logger = logging.getLogger(__name__)

_REFUSAL_BYTES: Final = 400

_LET_FAIL: Final[dict[str, Any]] = {"suspend": False, "backoffLimit": 0}
"""Kubernetes counts failures before it makes pods: the Job fails at once, and the pods that have ended stay."""


class MemorySteps:
    """Writes what `decide` decides."""

    def __init__(self, cluster: ClusterApi) -> None:
        self._cluster = cluster

    def settle(self, pipeline: Pipeline, jobs: Sequence[Job], recorded: Sequence[Run]) -> None:
        """Do what is to be done now to the Jobs of a pipeline; `recorded` must be in its status already.

        Raises Conflict when a Job has changed meanwhile: look again.
        """
        for action in decide(jobs, recorded):
            self._do(pipeline, action)

    def _do(self, pipeline: Pipeline, action: Action) -> None:
        match action:
            case Suspend(job, size, backoff_limit):
                step = {constants.ANNOTATION_MEMORY_STEP: size}
                self._patch(pipeline, job, step, {"suspend": True, "backoffLimit": backoff_limit})
            case Resume(job, size):
                self._resume(pipeline, job, size)
            case End(job):
                self._patch(pipeline, job, {}, _LET_FAIL)
            case Note(job, name):
                self._patch(pipeline, job, {constants.ANNOTATION_CONTINUED_BY: name}, {})
            case Stop(job, since):
                self._patch(pipeline, job, {constants.ANNOTATION_STOP: since}, {"activeDeadlineSeconds": 1})
            case Remove(job):
                metadata = job["metadata"]
                self._cluster.delete(
                    JOBS,
                    pipeline.namespace,
                    metadata["name"],
                    propagation="Background",
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                )

    def _resume(self, pipeline: Pipeline, job: Job, size: str) -> None:
        containers = with_memory(job["spec"]["template"]["spec"]["containers"], size)
        spec = {"suspend": False, "template": {"spec": {"containers": containers}}}
        try:
            self._patch(pipeline, job, {constants.ANNOTATION_MEMORY_STEP: None}, spec)
        except Invalid:  # Kubernetes before 1.36
            self._go_on_elsewhere(pipeline, job, size)
        except Forbidden as error:  # a policy of the cluster
            self._give_up(pipeline, job, error)

    def _go_on_elsewhere(self, pipeline: Pipeline, job: Job, size: str) -> None:
        body = successor(job, size)
        try:
            # Raises Conflict if an answer was lost: the next look finds it.
            self._cluster.create(JOBS, body, field_manager=constants.FIELD_MANAGER)
        except (Invalid, Forbidden) as error:
            self._give_up(pipeline, job, error)
        else:
            self._do(pipeline, Note(job, body["metadata"]["name"]))

    def _give_up(self, pipeline: Pipeline, job: Job, error: ClusterError) -> None:
        name = job["metadata"]["name"]
        _logger.warning("Job %s/%s cannot be given more memory: %s", pipeline.namespace, name, error)
        refusal = {constants.ANNOTATION_MEMORY_REFUSED: cut(str(error), _REFUSAL_BYTES)}
        self._patch(pipeline, job, refusal, _LET_FAIL)

    def _patch(self, pipeline: Pipeline, job: Job, annotations: Mapping[str, str | None], spec: dict[str, Any]) -> None:
        metadata = job["metadata"]
        patch: dict[str, Any] = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": dict(annotations)},
            "spec": spec,
        }
        self._cluster.merge_patch(JOBS, pipeline.namespace, metadata["name"], patch)
