"""The Job of something that OpenMetadata asks for once and that no pipeline stands for: a connection test, an app."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineType, ServiceType
from ingestion_operator.api.settings import Settings
from ingestion_operator.render.runner_pod import Content, SecretFile, runner_pod

_KEPT_SECONDS: Final = 600
"""How long an ended Job, its pod and its Secret stay for inspection."""


@dataclass(frozen=True)
class OneOff:
    """What is to be run."""

    kind: Literal["automation", "application"]
    job: str
    run_id: str
    entity_name: str
    """What OpenMetadata calls it, any Unicode."""

    run_input: str
    files: Sequence[SecretFile]
    deadline_seconds: int
    pipeline_type: PipelineType | None = None
    service_type: ServiceType | None = None
    service_name: str | None = None
    """Which pod template layers apply."""


def one_off_job(one_off: OneOff, namespace: str, settings: Settings) -> dict[str, Any]:
    """Return the Job, which starts at once and is not repeated. Raises Rejected as `runner_pod` does."""
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
