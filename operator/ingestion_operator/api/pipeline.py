"""The spec of an IngestionPipeline, which is the only desired state.

Each rule about several fields has two implementations side by side: CEL for the API server, and a validator for
programs. Tests compare them with a shared corpus of valid and invalid objects.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from ingestion_operator.api.base import KubernetesModel, cel, rules
from ingestion_operator.api.pod_template import PodTemplate
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.types import Duration, Quantity, Timestamp, cel_seconds
from ingestion_operator.k8s.schedule import CRON_PATTERN, PRESETS, TIME_ZONE_PATTERN, duration_seconds, is_cron

PipelineType = Literal[
    "metadata",
    "usage",
    "lineage",
    "profiler",
    "autoClassification",
    "TestSuite",
    "dataInsight",
    "elasticSearchReindex",
    "dbt",
    "application",
    "policyAgent",
]
ServiceType = Literal[
    "databaseService",
    "dashboardService",
    "messagingService",
    "pipelineService",
    "mlmodelService",
    "metadataService",
    "storageService",
    "searchService",
    "apiService",
    "driveService",
    "testSuite",
]
SslVerification = Literal["no-ssl", "ignore", "validate"]
SecretsManagerProvider = Literal[
    "db",
    "managed-aws",
    "aws",
    "managed-aws-ssm",
    "aws-ssm",
    "managed-azure-kv",
    "azure-kv",
    "in-memory",
    "gcp",
    "kubernetes",
]
SecretsManagerLoader = Literal["noop", "env"]
LoggerLevel = Literal["DEBUG", "INFO", "WARN", "ERROR"]

_PRESETS = ", ".join(PRESETS)
_CRON_MESSAGE = f"cron must have five fields such as '0 4 * * *', or be one of {_PRESETS}"
_ZONE_MESSAGE = "timeZone must be an IANA name such as Europe/Zurich or UTC"
_WINDOW_MESSAGE = "endDate must be later than startDate: move one of them"
_SOURCE_MESSAGE = "set exactly one of sourceConfig and sourceConfigSecretRef"
_RUNS_MESSAGE = "maxActiveRuns above 1 needs policy Allow: set it, or maxActiveRuns to 1"
_TTL_MESSAGE = "ttl must be at least 10m, so that a run can be recorded before its Job is deleted"
_TTL_MINIMUM_SECONDS = 600
_CREDENTIALS_PATTERN = "^https?://[^/]*@"
_CREDENTIALS_MESSAGE = (
    "hostPort must not contain a user or a password: remove everything before the @, and set tokenSecretRef"
)
_NAME_MESSAGE = "must not contain '::'"


class Service(KubernetesModel):
    """The OpenMetadata service whose metadata is ingested."""

    type: ServiceType
    name: Annotated[str, Field(min_length=1, max_length=256)]


class SourceConfig(KubernetesModel):
    """The configuration of the workflow, as in OpenMetadata. This is the only part of the resource without a schema."""

    config: Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]


class Server(KubernetesModel):
    """The OpenMetadata server that runs report to. Credentials are only referenced."""

    # The message has no value, since it contains a password.
    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(f"!self.hostPort.matches('{_CREDENTIALS_PATTERN}')", _CREDENTIALS_MESSAGE, ".hostPort")
        )
    )
    host_port: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", max_length=2048)]
    """Base URL of the API, such as http://openmetadata:8585/api."""
    version: Annotated[str, Field(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$", max_length=7)] | None = None
    """Major and minor version, which the runner's image must share; default: defaultServerVersion of the settings."""
    token_secret_ref: KeyReference | None = None
    """The key of a Secret with the bot's JWT."""
    verify_ssl: SslVerification | None = Field(default=None, alias="verifySSL")
    """Whether runs verify the server's certificate; default: no-ssl for http, validate for https."""

    secrets_manager_provider: SecretsManagerProvider | None = None
    """The secrets manager of the server, where runs read the secrets of services; default: the server itself."""
    secrets_manager_loader: SecretsManagerLoader | None = None
    """How runs get the credentials for the secrets manager: env, or noop for the pod's own identity; default: noop."""

    @field_validator("host_port")
    @classmethod
    def _check(cls, host_port: str) -> str:
        if re.match(_CREDENTIALS_PATTERN, host_port):
            raise ValueError(_CREDENTIALS_MESSAGE)
        return host_port

    @property
    def verification(self) -> SslVerification:
        """Return `verify_ssl` or its default."""
        return self.verify_ssl or ("validate" if self.host_port.startswith("https://") else "no-ssl")


class Schedule(KubernetesModel):
    """When runs start automatically. A pipeline without a schedule runs on demand."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                f"self.cron.matches('^({CRON_PATTERN})$') || self.cron in {list(PRESETS)}",
                _CRON_MESSAGE,
                ".cron",
                text=True,
            ),
            cel(
                f"self.timeZone.matches('^{TIME_ZONE_PATTERN}$') && self.timeZone != 'Local'",
                _ZONE_MESSAGE,
                ".timeZone",
                text=True,
            ),
            cel(
                "!has(self.startDate) || !has(self.endDate) || self.startDate < self.endDate",
                _WINDOW_MESSAGE,
                ".endDate",
            ),
        )
    )
    cron: Annotated[str, Field(min_length=1, max_length=256)]
    """Five cron fields or a preset. Weekdays 0 and 7 are Sunday."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    start_date: Timestamp | None = None
    end_date: Timestamp | None = None
    starting_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How late a scheduled run may still start after an outage, in seconds."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not is_cron(self.cron):
            raise ValueError(f"{_CRON_MESSAGE}, not {self.cron!r}")
        if not re.fullmatch(TIME_ZONE_PATTERN, self.time_zone) or self.time_zone == "Local":
            raise ValueError(f"{_ZONE_MESSAGE}, not {self.time_zone!r}")
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise ValueError(_WINDOW_MESSAGE)
        return self


class Concurrency(KubernetesModel):
    """Whether runs of one pipeline may overlap, and how many may wait."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("self.policy == 'Allow' || self.maxActiveRuns == 1", _RUNS_MESSAGE, ".maxActiveRuns")
        )
    )
    policy: Literal["Forbid", "Allow", "Replace"] = "Forbid"
    """Forbid: a new run waits for the current one. Allow: runs overlap. Replace: a new run stops the current one."""
    max_active_runs: Annotated[int, Field(ge=1, le=100)] = 1
    """How many runs may be active at the same time; above 1 only with policy Allow."""
    max_queued_runs: Annotated[int, Field(ge=1, le=100)] = 20
    """How many runs may wait for a free slot; the gateway rejects requests for more."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.policy != "Allow" and self.max_active_runs > 1:
            raise ValueError(_RUNS_MESSAGE)
        return self


class OnOutOfMemory(KubernetesModel):
    """Retry a run that ran out of memory with a higher memory limit."""

    memory_factor: Annotated[int, Field(ge=2, le=8)] = 2
    max_memory: Quantity


class Retry(KubernetesModel):
    """How often a failed run is retried. All attempts have the same run id."""

    limit: Annotated[int, Field(ge=0, le=10)] = 0
    disruptions: Annotated[int, Field(ge=0, le=100)] = 5
    """How many evictions, drains, preemptions and lost nodes a run survives. They do not count towards limit."""
    on_out_of_memory: OnOutOfMemory | None = None


class History(KubernetesModel):
    """How many finished runs keep their Job, and for how long."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                f"{cel_seconds('self.ttl')} >= {_TTL_MINIMUM_SECONDS}",
                _TTL_MESSAGE,
                ".ttl",
                text=True,
            )
        )
    )
    successful: Annotated[int, Field(ge=0, le=100)] = 3
    """How many Jobs of successful runs are kept. 0: a Job is deleted once its end is recorded and reported."""
    failed: Annotated[int, Field(ge=0, le=100)] = 3
    """How many Jobs of other finished runs are kept. 0: a Job is deleted once its end is recorded and reported."""
    ttl: Duration = "7d"

    @field_validator("ttl")
    @classmethod
    def _check(cls, ttl: str) -> str:
        if duration_seconds(ttl) < _TTL_MINIMUM_SECONDS:
            raise ValueError(_TTL_MESSAGE)
        return ttl


class PipelineSpec(KubernetesModel):
    """The desired state of an IngestionPipeline."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.sourceConfig) != has(self.sourceConfigSecretRef)", _SOURCE_MESSAGE),
            cel("!self.service.name.contains('::')", f"service.name {_NAME_MESSAGE}", ".service.name", text=True),
        )
    )
    fully_qualified_name: Annotated[str, Field(min_length=1, max_length=3072)] | None = None
    """The pipeline's name in OpenMetadata; default: <service.name>.<metadata.name>."""
    display_name: Annotated[str, Field(max_length=256)] | None = None
    pipeline_type: PipelineType
    service: Service
    source_config: SourceConfig | None = None
    source_config_secret_ref: KeyReference | None = None
    """The key of a Secret with the sourceConfig as YAML or JSON, for content that must not be in the resource."""
    server: Server
    connection_secret_ref: KeyReference | None = None
    """The key of a Secret with the connection of the service; default: the run gets it from the server."""
    schedule: Schedule | None = None
    suspend: bool = False
    """Pauses the schedule. Active runs continue."""
    concurrency: Concurrency = Concurrency()
    retry: Retry = Retry()
    timeout: Duration | None = None
    """Time limit of one attempt; default: defaultTimeout of the settings."""
    history: History = History()
    logger_level: LoggerLevel = "INFO"
    pod_template: PodTemplate = PodTemplate()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source_config is None) == (self.source_config_secret_ref is None):
            raise ValueError(_SOURCE_MESSAGE)
        if "::" in self.service.name:
            raise ValueError(f"service.name {_NAME_MESSAGE}")
        return self
