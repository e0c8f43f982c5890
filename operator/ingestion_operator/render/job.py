"""The Job of a requested run."""

from dataclasses import dataclass
from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.render.cronjob import job_template, owner_reference


@dataclass(frozen=True)
class RunRequest:
    """The parameters of one run."""

    job: str
    run_id: str
    requested_at: str
    queue_name: str | None = None
    """The queue of Kueue that admits the run; None: the operator admits it."""
    is_held: bool = False
    """Whether another write is needed before the run may start."""


def run_job(pipeline: Pipeline, settings: Settings, request: RunRequest) -> dict[str, Any]:
    """Return the Job, suspended until its admission. Raises Rejected as `job_template` does."""
    # Only Kueue may suspend a Job that it has admitted, and the Job must not exceed the reserved quota.
    rendered = job_template(pipeline, settings, retries_on_oom=request.queue_name is None)
    metadata, spec = rendered["metadata"], rendered["spec"]
    template = spec["template"]
    annotations = template["metadata"]["annotations"] | {constants.ANNOTATION_RUN_ID: request.run_id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": request.job,
            "namespace": pipeline.namespace,
            "labels": metadata["labels"]
            | ({constants.LABEL_QUEUE_NAME: request.queue_name} if request.queue_name else {}),
            "annotations": metadata["annotations"]
            | {constants.ANNOTATION_REQUESTED_AT: request.requested_at}
            | ({constants.ANNOTATION_ADMISSION_HOLD: "secret"} if request.is_held else {}),
            "ownerReferences": [owner_reference(pipeline)],
        },
        "spec": spec
        | {
            "suspend": True,
            "template": template | {"metadata": template["metadata"] | {"annotations": annotations}},
        },
    }
