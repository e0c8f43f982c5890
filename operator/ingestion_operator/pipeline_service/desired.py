"""The desired objects of an entity: the pipeline's spec, its annotations and two Secrets; pure functions."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from ingestion_operator import constants
from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.api.validation import describe_error
from ingestion_operator.errors import Rejected
from ingestion_operator.pipeline_service.airflow_config import Timing, timing
from ingestion_operator.pipeline_service.entity import Entity, ServerConnection, invalid, read_entity
from ingestion_operator.pipeline_service.names import (
    check_name,
    resource_name,
    source_config_secret_name,
    token_secret_name,
)
from ingestion_operator.render.cronjob import cronjob

_SECRET_LIMIT_BYTES: Final = 1_000_000
"""The largest Secret has 1 MiB."""

_DISPLAY_NAME_LIMIT: Final = 256
_EXTERNAL_SECRET: Final = "secret:"  # noqa: S105  prefix of a reference to a secrets manager


@dataclass(frozen=True)
class Token:
    """A bot's token, and the name of its Secret."""

    secret: str
    value: str


@dataclass(frozen=True)
class Desired:
    """The result of a deploy.

    `spec` has every key that a deploy sets, with None for keys to remove. A deploy does not change other keys of a live
    spec: podTemplate, history, suspend, connectionSecretRef.
    """

    entity: Entity
    resource: str
    fully_qualified_name: str
    spec: dict[str, Any]
    annotations: dict[str, str | None]
    token: Token | None
    source_config: str
    is_paused_at_first: bool

    def metadata(self) -> dict[str, Any]:
        """Return labels and annotations."""
        return {"labels": {constants.LABEL_DEPLOYED_BY: constants.DEPLOYED_BY}, "annotations": self.annotations}


def desired(body: Mapping[str, Any], settings: Settings, now: datetime) -> Desired:
    """Read an entity. Raises Rejected (InvalidParameter) with each missing or invalid field."""
    entity = read_entity(body)
    check_name(entity.name)
    resource = resource_name(entity.name)
    raw = {key: value for key, value in body["airflowConfig"].items() if value is not None}
    times = timing(entity.airflow_config, raw, settings.pipeline_service.workflow_timeout_unit, now)
    token = _token(entity)
    fully_qualified_name = entity.fully_qualified_name or f"{_quoted(entity.service.name)}.{_quoted(entity.name)}"
    return Desired(
        entity=entity,
        resource=resource,
        fully_qualified_name=fully_qualified_name,
        spec=_spec(entity, fully_qualified_name, times, token, source_config_secret_name(resource)),
        annotations={
            constants.ANNOTATION_ENTITY_NAME: entity.name,
            constants.ANNOTATION_ENTITY_FQN: fully_qualified_name,
            constants.ANNOTATION_ENTITY_ID: entity.id or None,
            constants.ANNOTATION_IGNORED_FIELDS: ", ".join([*times.ignored_fields, *_ignored_fields(body)]) or None,
        },
        token=token,
        source_config=source_config_text(entity.source_config.config),
        is_paused_at_first=entity.airflow_config.pause_pipeline or not entity.enabled,
    )


def source_config_text(config: Mapping[str, Any]) -> str:
    """Return the content of the Secret of a source configuration; equal configurations give equal texts."""
    text = json.dumps({"config": config}, sort_keys=True, separators=(",", ":"))
    if len(text) > _SECRET_LIMIT_BYTES:
        raise invalid("sourceConfig", f"it has {len(text)} bytes, more than the {_SECRET_LIMIT_BYTES} of a Secret")
    return text


def check_renderable(namespace: str, name: str, spec: Mapping[str, Any], settings: Settings, now: datetime) -> None:
    """Raise Rejected if the operator cannot render a CronJob from the spec."""
    try:
        model = PipelineSpec.model_validate(without_none(spec))
    except ValidationError as error:
        raise Rejected("InvalidParameter", f"The pipeline cannot be deployed: {describe_error(error)}") from error
    pipeline = Pipeline(namespace, name, "unknown", 1, "1", model, PipelineStatus())
    cronjob(pipeline, settings, now)


def without_none(patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a merge patch on an absent object."""
    return {
        key: without_none(value) if isinstance(value, dict) else deepcopy(value)
        for key, value in patch.items()
        if value is not None
    }


def _spec(entity: Entity, fully_qualified_name: str, times: Timing, token: Token | None, secret: str) -> dict[str, Any]:
    server = entity.open_metadata_server_connection
    runs = times.max_active_runs
    return {
        "fullyQualifiedName": fully_qualified_name,
        "displayName": entity.display_name[:_DISPLAY_NAME_LIMIT] if entity.display_name else None,
        "pipelineType": entity.pipeline_type,
        "service": {"type": entity.service.type, "name": entity.service.name},
        "sourceConfig": None,
        "sourceConfigSecretRef": {"name": secret, "key": constants.SOURCE_CONFIG_KEY},
        "server": {
            "hostPort": server.host_port,
            "verifySSL": server.verify_ssl,
            "tokenSecretRef": {"name": token.secret, "key": constants.TOKEN_KEY} if token else None,
            **_secrets_manager(server),
        },
        "schedule": times.schedule,
        "concurrency": {"policy": "Allow" if runs > 1 else "Forbid", "maxActiveRuns": runs},
        "retry": {"limit": times.retry_limit},
        "timeout": times.timeout,
        "loggerLevel": entity.logger_level,
    }


def _secrets_manager(server: ServerConnection) -> dict[str, str | None]:
    if server.secrets_manager_provider in (None, "db"):
        # The server decrypts secrets before it returns them, so a loader is not needed.
        return {"secretsManagerProvider": None, "secretsManagerLoader": None}
    if server.secrets_manager_loader == "airflow":
        raise invalid(
            "openMetadataServerConnection.secretsManagerLoader",
            "airflow reads the credentials from Airflow's configuration, which does not exist here: set "
            "pipelineServiceClientConfiguration.secretsManagerLoader of the server to env or noop",
        )
    return {
        "secretsManagerProvider": server.secrets_manager_provider,
        "secretsManagerLoader": server.secrets_manager_loader,
    }


def _token(entity: Entity) -> Token | None:
    connection = entity.open_metadata_server_connection
    value = (connection.security_config.jwt_token or "").strip()
    if not value:
        return None
    if value.startswith(_EXTERNAL_SECRET):
        raise invalid(
            "openMetadataServerConnection.securityConfig.jwtToken",
            "it refers to a secrets manager that runs cannot reach: use the secrets manager `db` in the server",
        )
    return Token(token_secret_name(connection.host_port, _subject(value) or connection.auth_provider), value)


def _subject(token: str) -> str:
    """Return the subject of a JWT, "" without one. It is not verified: it only names a Secret."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims.get("sub", ""))
    except (IndexError, ValueError, AttributeError, RecursionError, binascii.Error):
        return ""


def _quoted(name: str) -> str:
    return f'"{name}"' if "." in name and not name.startswith('"') else name


def _ignored_fields(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields outside of airflowConfig that are set and have no effect."""
    connection = body["openMetadataServerConnection"]
    for key in ("sslConfig", "extraHeaders"):
        if connection.get(key):
            yield f"openMetadataServerConnection.{key}"
    if connection.get("clusterName", "openmetadata") not in ("openmetadata", None):
        yield "openMetadataServerConnection.clusterName"
    if body.get("raiseOnError") is False:
        yield "raiseOnError"
    if body.get("enableStreamableLogs") is True:
        yield "enableStreamableLogs"
