"""The IngestionPipeline entity as OpenMetadata 1.3 to 2.x sends it; pure.

The models have only the fields that are used. Other keys are ignored: each version of the server adds some.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.pipeline import LoggerLevel, PipelineType, SecretsManagerProvider, ServiceType
from ingestion_operator.errors import Rejected

_MILLISECONDS: Final = 1000
_FIRST_YEAR: Final = 1970


def _parse_date(value: Any) -> Any:
    """Parse a date as Jackson writes it: text with or without time and time zone, or epoch milliseconds."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / _MILLISECONDS, UTC)
        else:
            moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ValueError("use a point in time such as 2026-01-31T02:00:00Z") from error
    if moment.year < _FIRST_YEAR:
        raise ValueError(f"use a point in time after {_FIRST_YEAR}")
    return moment


Date = Annotated[datetime, BeforeValidator(_parse_date)]
Count = Annotated[int, Field(ge=1)]


class AirflowConfig(KubernetesModel):
    """Schedule and retries of the pipeline."""

    schedule_interval: str | None = None
    pipeline_timezone: str = "UTC"
    start_date: Date | None = None
    end_date: Date | None = None
    retries: Annotated[int, Field(ge=0)] = 0
    retry_delay: int = 300
    max_active_runs: Count = 1
    concurrency: Count = 1
    pipeline_catchup: bool = False
    workflow_timeout: Count | None = None
    pause_pipeline: bool = False
    email: str | None = None


class SecurityConfig(KubernetesModel):
    """Credentials of a bot."""

    jwt_token: str | None = None


class ServerConnection(KubernetesModel):
    """The server that runs report to."""

    host_port: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", max_length=2048)]
    auth_provider: str = "openmetadata"
    verify_ssl: Literal["no-ssl", "ignore", "validate"] | None = Field(default=None, alias="verifySSL")
    security_config: SecurityConfig = SecurityConfig()
    secrets_manager_provider: SecretsManagerProvider | None = None
    secrets_manager_loader: Literal["noop", "env", "airflow"] | None = None


class ServiceReference(KubernetesModel):
    """The service that is ingested."""

    type: ServiceType
    name: Annotated[str, Field(min_length=1, max_length=256)]


class SourceConfig(KubernetesModel):
    """The workflow's own configuration."""

    config: dict[str, Any]


class Entity(KubernetesModel):
    """An IngestionPipeline."""

    id: str = ""
    name: Annotated[str, Field(min_length=1, max_length=256)]
    display_name: str | None = None
    fully_qualified_name: Annotated[str, Field(min_length=1, max_length=3072)] | None = None
    pipeline_type: PipelineType
    service: ServiceReference
    source_config: SourceConfig
    airflow_config: AirflowConfig
    open_metadata_server_connection: ServerConnection
    logger_level: LoggerLevel = "INFO"
    enabled: bool = True


def read_entity(body: Mapping[str, Any]) -> Entity:
    """Return the entity.

    Raises:
        Rejected: InvalidParameter, with one line for each missing or invalid field. Values are left out, since they may
            be secret.
    """
    try:
        return Entity.model_validate(dict(body))
    except ValidationError as error:
        raise Rejected("InvalidParameter", describe(error)) from error


def describe(error: ValidationError) -> str:
    """Return one line for each invalid field."""
    return "\n".join(_line(detail) for detail in error.errors(include_url=False, include_input=False))


def invalid(field: str, fix: str) -> Rejected:
    """Return the error for a field of the entity."""
    return Rejected("InvalidParameter", f"Invalid parameter value for '{field}': {fix}")


def _line(detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "body"
    if detail["type"] == "missing":
        return f"Missing parameter '{field}'"
    return f"Invalid parameter value for '{field}': {detail['msg'].removeprefix('Value error, ')}"
