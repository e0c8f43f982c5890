"""The pod of a pipeline's runs."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineType, ServiceType
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.render.run_input import run_input
from ingestion_operator.render.runner_pod import Content, SecretFile, runner_pod

_DATABASE: Final[tuple[ServiceType, ...]] = ("databaseService",)
_TEST_SUITE: Final[tuple[ServiceType, ...]] = ("testSuite",)
_ANY: Final[tuple[ServiceType, ...]] = tuple(kind for kind in get_args(ServiceType) if kind not in _TEST_SUITE)

RUNNABLE_PIPELINE_TYPES: Final[Mapping[PipelineType, tuple[ServiceType, ...]]] = {
    "metadata": _ANY,
    "usage": _DATABASE,
    "lineage": _DATABASE,
    "profiler": _DATABASE,
    "autoClassification": ("databaseService", "storageService", "messagingService"),
    "TestSuite": _TEST_SUITE,
    "dbt": _DATABASE,
    "application": get_args(ServiceType),
}
"""The pipeline types for which the runner has a template, each with its service types in OpenMetadata."""

_WITHOUT_CODE: Final[Mapping[PipelineType, str]] = {
    "elasticSearchReindex": (
        "openmetadata-ingestion no longer has a source for it. Run the application SearchIndexingApplication in "
        "OpenMetadata (Settings > Applications > Search Indexing) instead"
    ),
    "dataInsight": (
        "openmetadata-ingestion has no code for it. Run the application DataInsightsApplication in OpenMetadata "
        "(Settings > Applications > Data Insights) instead"
    ),
    "policyAgent": (
        "the open openmetadata-ingestion has no code for it, only Collate's. Set access policies in OpenMetadata "
        "(Settings > Access Control) instead"
    ),
}
"""Pipeline types without code to run: the reason, and the replacement."""


def labels(pipeline: Pipeline) -> dict[str, str]:
    """Return the labels of all objects of a pipeline."""
    return {
        constants.LABEL_MANAGED_BY: constants.MANAGED_BY,
        constants.LABEL_PIPELINE: pipeline.cronjob_name,
        constants.LABEL_PIPELINE_TYPE: pipeline.spec.pipeline_type,
    }


def pod_template(pipeline: Pipeline, settings: Settings) -> dict[str, Any]:
    """Return the pod template of a pipeline's runs.

    Raises:
        Rejected: The pipeline type has no code or does not fit the service type, the server version is unknown, the
            settings do not allow the server or the service account, or the run input is too large.
    """
    spec = pipeline.spec
    _check_pipeline_type(spec.pipeline_type, spec.service.type)
    _check_server(spec.server.host_port, settings)
    layers = settings.pod_template_layers(spec.pipeline_type, spec.service.type, spec.service.name)
    content = Content(
        run_input=run_input(pipeline),
        files=_files(pipeline),
        labels=labels(pipeline),
        annotations={constants.ANNOTATION_PIPELINE_NAME: pipeline.name},
    )
    image = settings.runner_image(spec.server.version)
    template = runner_pod(content, [*layers, spec.pod_template.as_dict()], image, settings)
    seconds = duration_seconds(spec.timeout) if spec.timeout is not None else settings.default_timeout_seconds
    if seconds is not None:
        # On the pod and not on the Job: it is the time limit of one attempt.
        template["spec"]["activeDeadlineSeconds"] = seconds
    return template


def _check_pipeline_type(pipeline_type: PipelineType, service_type: ServiceType) -> None:
    service_types = RUNNABLE_PIPELINE_TYPES.get(pipeline_type)
    if service_types is None:
        raise Rejected(
            "UnsupportedPipelineType", f"spec.pipelineType {pipeline_type!r}: {_WITHOUT_CODE[pipeline_type]}"
        )
    if service_type not in service_types:
        raise Rejected(
            "UnsupportedServiceType",
            f"spec.service.type {service_type!r} has no pipelines of the type {pipeline_type!r}: "
            f"use {', '.join(service_types)}",
        )


def _check_server(host_port: str, settings: Settings) -> None:
    if not settings.allows_server(host_port):
        raise Rejected(
            "ServerNotAllowed",
            f"spec.server.hostPort {host_port!r} is not allowed: use one of {', '.join(settings.allowed_servers)}, "
            "or let an administrator add its host to allowedServers in the operator's settings",
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
