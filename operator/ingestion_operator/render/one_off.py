"""The Job of an automation or application, which runs once and has no pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineType, ServiceType
from ingestion_operator.api.settings import Settings
from ingestion_operator.render.runner_pod import Content, SecretFile, runner_pod

_KEPT_SECONDS: Final = 600
"""How long an ended Job, its pod and its Secret are kept for inspection."""


@dataclass(frozen=True)
class OneOff:
    """An automation or application to run."""

    kind: Literal["automation", "application"]
    job: str
    run_id: str
    entity_name: str
    """Its name in OpenMetadata, any Unicode text."""

    run_input: str
    files: Sequence[SecretFile]
    deadline_seconds: int
    pipeline_type: PipelineType | None = None
    service_type: ServiceType | None = None
    service_name: str | None = None
    """With the two fields before: selects the pod template layers."""


def one_off_job(one_off: OneOff, namespace: str, settings: Settings) -> dict[str, Any]:
    """Return the Job, which starts immediately and has no retries. Raises Rejected as `runner_pod` does."""
    labels = {constants.LABEL_MANAGED_BY: constants.MANAGED_BY, constants.LABEL_ONE_OFF: one_off.kind}
    name = {constants.ANNOTATION_ENTITY_NAME: one_off.entity_name}
    content = Content(
        run_input=one_off.run_input,
        files=one_off.files,
        labels=labels,
        annotations=name | {constants.ANNOTATION_RUN_ID: one_off.run_id},
    )
    layers = settings.pod_template_layers(one_off.pipeline_type, one_off.service_type, one_off.service_name)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": one_off.job, "namespace": namespace, "labels": labels, "annotations": name},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": one_off.deadline_seconds,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": runner_pod(content, layers, settings.runner_image(None), settings),
        },
    }
