"""The operator's settings: one YAML file, mounted from one ConfigMap.

`runnerImages` names an image per minor version of OpenMetadata; the pod template layers are merged below a
pipeline's own podTemplate.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.pipeline import PipelineType, ServiceType
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.servers import ServerPattern, matches
from ingestion_operator.api.types import DnsLabel, Duration, DurationOrZero, Quantity, Retention
from ingestion_operator.api.validation import describe_error
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.k8s.yaml_documents import parse_document


class RunnerImage(KubernetesModel):
    """An image and the version of openmetadata-ingestion in it."""

    image: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(\.[0-9a-z]+)*$", max_length=63)]


class ServiceLayer(KubernetesModel):
    """A pod template for all pipelines of one kind of service, or of one service by name."""

    type: ServiceType | None = None
    name: str | None = None
    pod_template: PodTemplate


class PipelineServiceSettings(KubernetesModel):
    """What an administrator decides about pipelines that come from OpenMetadata."""

    workflow_timeout_unit: Literal["seconds", "days"] = "seconds"
    """What `airflowConfig.workflowTimeout` counts: seconds as documented, or days as Airflow's plugin took it."""
    host_ip: Annotated[str, Field(max_length=255)] | None = None
    """The address that runs come from, shown to people who have to let it through a firewall."""
    operator_namespace: DnsLabel | None = None
    """Where the operator's Lease is; default: the namespace of the pipelines."""


class LogArchiveSettings(KubernetesModel):
    """Where the logs of runs are kept once their pods are gone."""

    url: Annotated[str, Field(pattern=r"^(file|s3|gs|az|azure|abfs|abfss)://", max_length=2048)]
    """A folder (file:///var/lib/ingestion-logs) or a bucket with a prefix (s3://bucket/prefix, gs://, az://)."""
    retention: Retention = "30d"
    """How long the log of a run is kept after its last line."""


class TracingSettings(KubernetesModel):
    """Where the operator sends traces of runs."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*[^/?#\s])?$", max_length=2048)] | None = None
    """Base URL of a collector that takes OTLP over HTTP, such as http://otel-collector:4318. None: no traces."""


class ScratchSettings(KubernetesModel):
    """The volume of each run's /tmp, where the workflow keeps what it is working on."""

    size_limit: Quantity = "4Gi"
    """How large it may become before the kubelet evicts the pod, which counts as a failed attempt; 0: no limit."""
    request: Quantity = "100Mi"
    """How much ephemeral storage the container requests, unless a pod template says otherwise."""


class Settings(KubernetesModel):
    """What an administrator decides for all pipelines."""

    runner_images: Annotated[dict[str, RunnerImage], Field(min_length=1)]
    default_server_version: str
    pod_template: PodTemplate = PodTemplate()
    pod_templates_by_pipeline_type: dict[PipelineType, PodTemplate] = {}
    pod_templates_by_service: list[ServiceLayer] = []
    allowed_service_accounts: list[str] = []
    allowed_servers: Annotated[list[ServerPattern], Field(max_length=256)] = []
    """Hosts that spec.server.hostPort may name, such as openmetadata.example.com, *.example.com or openmetadata:8585.
    Empty: every one. Nothing is sent to any other."""
    default_timeout: DurationOrZero = "24h"
    """Longest time of one attempt of a pipeline without spec.timeout; 0: no limit."""
    scratch: ScratchSettings = ScratchSettings()
    pipeline_service: PipelineServiceSettings = PipelineServiceSettings()
    start_timeout: Duration = "10m"
    """How long the pod of a run may take to start before the run fails."""
    node_lost_timeout: Duration = "15m"
    """How long the node of a running pod may be unreachable before the run fails."""
    warm_automations: Annotated[int, Field(ge=0, le=20)] = 0
    """How many pods wait for connection tests, with openmetadata-ingestion imported. The gateway keeps them."""
    tracing: TracingSettings = TracingSettings()
    log_archive: LogArchiveSettings | None = None
    """Default: none; a log then ends with its pod."""

    @model_validator(mode="after")
    def _default_has_image(self) -> "Settings":
        if self.default_server_version not in self.runner_images:
            raise ValueError(
                f"defaultServerVersion {self.default_server_version!r} has no entry in runnerImages: add one"
            )
        return self

    @property
    def default_timeout_seconds(self) -> int | None:
        """Longest time in seconds of one attempt of a pipeline without a timeout of its own; None: no limit."""
        return None if self.default_timeout == "0" else duration_seconds(self.default_timeout)

    def allows_server(self, host_port: str) -> bool:
        """Return whether runs and the operator may call the server at a URL such as http://openmetadata:8585/api."""
        return not self.allowed_servers or any(matches(pattern, host_port) for pattern in self.allowed_servers)

    def runner_image(self, server_version: str | None) -> RunnerImage:
        """Return the image for a server's minor version.

        Raises Rejected (UnsupportedServerVersion) when the settings name none.
        """
        version = server_version or self.default_server_version
        image = self.runner_images.get(version)
        if image is None:
            raise Rejected(
                "UnsupportedServerVersion",
                f"spec.server.version {version!r} has no runner image: use one of "
                f"{', '.join(sorted(self.runner_images))}, or add it to runnerImages in the operator's settings",
            )
        return image

    def pod_template_layers(
        self, pipeline_type: PipelineType | None, service_type: ServiceType | None, service_name: str | None
    ) -> list[dict[str, Any]]:
        """Return what applies to a pipeline, or to what has no type or service, weakest first."""
        layers = [self.pod_template]
        if pipeline_type in self.pod_templates_by_pipeline_type:
            layers.append(self.pod_templates_by_pipeline_type[pipeline_type])
        layers += [
            layer.pod_template
            for layer in self.pod_templates_by_service
            if layer.type in (None, service_type) and layer.name in (None, service_name)
        ]
        return [layer.as_dict() for layer in layers]


def load_settings(path: Path) -> Settings:
    """Read the settings file.

    Raises Rejected (InvalidSettings) naming each wrong field.
    """
    try:
        # A misspelt field would otherwise be a setting that silently does nothing.
        return Settings.model_validate(parse_document(path.read_text(encoding="utf-8")), extra="forbid")
    except OSError as error:
        raise Rejected("InvalidSettings", f"settings file {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise Rejected("InvalidSettings", f"settings file {path}: {describe_error(error)}") from error
    except ValueError as error:
        raise Rejected("InvalidSettings", f"settings file {path} is not YAML: {error}") from error
