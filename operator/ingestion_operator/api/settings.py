"""The settings of the operator and the gateway: a YAML file, mounted from a ConfigMap.

`runnerImages` has an image for each minor version of OpenMetadata. The podTemplate of a pipeline is merged over the pod
template layers.
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
    """A pod template for all pipelines of one service type, or of one service by name."""

    type: ServiceType | None = None
    name: str | None = None
    pod_template: PodTemplate


class PipelineServiceSettings(KubernetesModel):
    """Settings for pipelines that OpenMetadata deploys."""

    workflow_timeout_unit: Literal["seconds", "days"] = "seconds"
    """The unit of `airflowConfig.workflowTimeout`: seconds as documented, or days as in the Airflow plugin."""
    host_ip: Annotated[str, Field(max_length=255)] | None = None
    """The source address of runs, which OpenMetadata shows for firewall rules."""
    operator_namespace: DnsLabel | None = None
    """The namespace of the operator's Lease; default: the namespace of the pipelines."""


class LogArchiveSettings(KubernetesModel):
    """The archive in which the logs of runs outlive their pods."""

    url: Annotated[str, Field(pattern=r"^(file|s3|gs|az|azure|abfs|abfss)://", max_length=2048)]
    """A folder (file:///var/lib/ingestion-logs) or a bucket with a prefix (s3://bucket/prefix, gs://, az://)."""
    retention: Retention = "30d"
    """How long the log of a run is kept after its last line."""


class TracingSettings(KubernetesModel):
    """The collector for traces of runs."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*[^/?#\s])?$", max_length=2048)] | None = None
    """Base URL of a collector for OTLP over HTTP, such as http://otel-collector:4318; default: no traces."""


class ScratchSettings(KubernetesModel):
    """The volume /tmp of each run, for temporary files of the workflow."""

    size_limit: Quantity = "4Gi"
    """Size at which the kubelet evicts the pod, which counts as a failed attempt; 0: no limit."""
    request: Quantity = "100Mi"
    """Ephemeral storage that the container requests, unless a pod template sets another amount."""


class Settings(KubernetesModel):
    """Settings for all pipelines."""

    runner_images: Annotated[dict[str, RunnerImage], Field(min_length=1)]
    default_server_version: str
    pod_template: PodTemplate = PodTemplate()
    pod_templates_by_pipeline_type: dict[PipelineType, PodTemplate] = {}
    pod_templates_by_service: list[ServiceLayer] = []
    allowed_service_accounts: list[str] = []
    allowed_servers: Annotated[list[ServerPattern], Field(max_length=256)] = []
    """Hosts that are allowed in spec.server.hostPort, such as openmetadata.example.com, *.example.com or
    openmetadata:8585. Empty: all hosts. Nothing is sent to other hosts."""
    default_timeout: DurationOrZero = "24h"
    """Time limit of one attempt of a pipeline without spec.timeout; 0: no limit."""
    scratch: ScratchSettings = ScratchSettings()
    pipeline_service: PipelineServiceSettings = PipelineServiceSettings()
    start_timeout: Duration = "10m"
    """How long the pod of a run may take to start before the run fails."""
    node_lost_timeout: Duration = "15m"
    """How long the node of a running pod may be unreachable before the run fails."""
    warm_automations: Annotated[int, Field(ge=0, le=20)] = 0
    """How many pods wait for connection tests, with openmetadata-ingestion imported. The gateway maintains them."""
    tracing: TracingSettings = TracingSettings()
    log_archive: LogArchiveSettings | None = None
    """Default: no archive; a log is then deleted with its pod."""

    @model_validator(mode="after")
    def _default_has_image(self) -> "Settings":
        if self.default_server_version not in self.runner_images:
            raise ValueError(
                f"defaultServerVersion {self.default_server_version!r} has no entry in runnerImages: add one"
            )
        return self

    @property
    def default_timeout_seconds(self) -> int | None:
        """Time limit of one attempt of a pipeline without its own timeout, in seconds; None: no limit."""
        return None if self.default_timeout == "0" else duration_seconds(self.default_timeout)

    def allows_server(self, host_port: str) -> bool:
        """Return whether runs and the operator may call the server at a URL such as http://openmetadata:8585/api."""
        return not self.allowed_servers or any(matches(pattern, host_port) for pattern in self.allowed_servers)

    def runner_image(self, server_version: str | None) -> RunnerImage:
        """Return the image for a server's minor version, or for the default one.

        Raises:
            Rejected: UnsupportedServerVersion: the settings have no image for it.
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
        """Return the layers for a pipeline, or for a pod without a type or service, weakest first."""
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

    Raises:
        Rejected: InvalidSettings: it cannot be read, or has invalid fields, which the text names.
    """
    try:
        # Otherwise a misspelt field would be ignored silently.
        return Settings.model_validate(parse_document(path.read_text(encoding="utf-8")), extra="forbid")
    except OSError as error:
        raise Rejected("InvalidSettings", f"settings file {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise Rejected("InvalidSettings", f"settings file {path}: {describe_error(error)}") from error
    except ValueError as error:
        raise Rejected("InvalidSettings", f"settings file {path} is not YAML: {error}") from error
