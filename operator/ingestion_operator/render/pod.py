"""The pod of a pipeline's runs."""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.models.pipeline import PipelineType
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.render.run_input import run_input
from ingestion_operator.render.runner_pod import Content, SecretFile, runner_pod
from ingestion_operator.schedule import duration_seconds
from ingestion_operator.settings import Settings

RUNNABLE_PIPELINE_TYPES: Final[tuple[PipelineType, ...]] = ("metadata", "application")
"""Types that the runner has a workflow template for."""


def labels(pipeline: Pipeline) -> dict[str, str]:
    """Return the labels of every object that belongs to a pipeline."""
    return {
        constants.LABEL_MANAGED_BY: constants.MANAGED_BY,
        constants.LABEL_PIPELINE: pipeline.cronjob_name,
        constants.LABEL_PIPELINE_TYPE: pipeline.spec.pipeline_type,
    }


def pod_template(pipeline: Pipeline, settings: Settings) -> dict[str, Any]:
    """Return the pod template of a pipeline's runs.

    Raises Rejected for what no pod can be made of: an unknown server version, a service account that the
    settings do not allow, an input too large.
    """
    spec = pipeline.spec
    _check_pipeline_type(spec.pipeline_type)
    layers = settings.pod_template_layers(spec.pipeline_type, spec.service.type, spec.service.name)
    content = Content(
        run_input=run_input(pipeline),
        files=_files(pipeline),
        labels=labels(pipeline),
        annotations={constants.ANNOTATION_PIPELINE_NAME: pipeline.name},
    )
    image = settings.runner_image(spec.server.version)
    template = runner_pod(content, [*layers, spec.pod_template.as_dict()], image, settings)
    if spec.timeout is not None:
        # On the pod, not on the Job: the timeout is that of one attempt.
        template["spec"]["activeDeadlineSeconds"] = duration_seconds(spec.timeout)
    return template


def _check_pipeline_type(pipeline_type: PipelineType) -> None:
    if pipeline_type not in RUNNABLE_PIPELINE_TYPES:
        raise Rejected(
            "UnsupportedPipelineType",
            f"spec.pipelineType {pipeline_type!r} cannot be run by this version of the runner: "
            f"use {', '.join(RUNNABLE_PIPELINE_TYPES)}",
        )


def _files(pipeline: Pipeline) -> list[SecretFile]:
    spec = pipeline.spec
    return [
        SecretFile(name, directory, reference)
        for name, directory, reference in (
            ("token", constants.TOKEN_DIRECTORY, spec.server.token_secret_ref),
            ("connection", constants.CONNECTION_DIRECTORY, spec.connection_secret_ref),
            ("source-config", constants.SOURCE_CONFIG_DIRECTORY, spec.source_config_secret_ref),
        )
        if reference is not None
    ]
