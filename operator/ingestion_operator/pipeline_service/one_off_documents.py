"""The entities of automations and applications, and the Jobs that run them; pure.

The models have only the fields that are used. The runner gets the whole document.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import Field, ValidationError

from ingestion_operator import constants
from ingestion_operator.api.base import KubernetesModel
from ingestion_operator.api.pipeline import LoggerLevel, Server, ServiceType
from ingestion_operator.api.references import KeyReference
from ingestion_operator.errors import Rejected
from ingestion_operator.pipeline_service.desired import source_config_text
from ingestion_operator.pipeline_service.entity import ServerConnection, describe, invalid
from ingestion_operator.render.one_off import OneOff
from ingestion_operator.render.run_input import RUN_INPUT_VERSION
from ingestion_operator.render.runner_pod import SecretFile

AUTOMATION_SECONDS: Final = 100
"""OpenMetadata's dialog waits two minutes. By then the runner must have reported the timeout."""

APPLICATION_SECONDS: Final = 7 * 24 * 3600
"""Longer than an application takes. Without a deadline, a Job whose Secret was never written would wait for ever."""

_DOCUMENT_LIMIT_BYTES: Final = 1_000_000
"""The largest Secret has 1 MiB."""

_SLUG_LIMIT: Final = 30
_NAME_HASH_LENGTH: Final = 12
_Model = TypeVar("_Model", bound=KubernetesModel)
_Name = Annotated[str, Field(min_length=1, max_length=256)]


class AutomationRequest(KubernetesModel):
    """The service of the tested connection. The connection itself is only used by the runner."""

    service_type: str | None = None
    service_name: str | None = None


class Automation(KubernetesModel):
    """An automations Workflow."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    name: _Name
    workflow_type: str
    request: AutomationRequest
    open_metadata_server_connection: ServerConnection


class PipelineReference(KubernetesModel):
    """An ingestion pipeline of an application."""

    fully_qualified_name: Annotated[str, Field(max_length=3072)] | None = None


class Application(KubernetesModel):
    """An App."""

    name: _Name
    source_python_class: Annotated[str, Field(min_length=1)]
    app_configuration: dict[str, Any] = {}
    private_configuration: dict[str, Any] = {}
    open_metadata_server_connection: ServerConnection
    pipelines: list[PipelineReference] = []
    logger_level: LoggerLevel = "INFO"


def automation_job(body: Mapping[str, Any], run_id: str) -> tuple[OneOff, dict[str, str]]:
    """Return the Job of an automation, and the data of its Secret: the whole document.

    Raises:
        Rejected: InvalidParameter, with each missing or invalid field.
    """
    automation = _read(Automation, body)
    job = _job_name("automation", automation.name, run_id)
    service_type = f"{(automation.request.service_type or '').lower()}Service"
    text = json.dumps(body, separators=(",", ":"))
    if len(text) > _DOCUMENT_LIMIT_BYTES:
        raise invalid("body", f"it has {len(text)} bytes, more than the {_DOCUMENT_LIMIT_BYTES} of a Secret")
    one_off = OneOff(
        kind="automation",
        job=job,
        run_id=run_id,
        entity_name=automation.name,
        run_input=_run_input({"kind": "automation"}),
        files=[_file(job, constants.AUTOMATION_KEY, constants.AUTOMATION_DIRECTORY)],
        service_type=next((known for known in get_args(ServiceType) if known == service_type), None),
        service_name=automation.request.service_name,
        deadline_seconds=AUTOMATION_SECONDS,
    )
    return one_off, {constants.AUTOMATION_KEY: text}


def application_job(body: Mapping[str, Any], run_id: str) -> tuple[OneOff, dict[str, str]]:
    """Return the Job of an application, and the data of its Secret: its configuration and the server's token.

    Raises Rejected as `automation_job` does.
    """
    application = _read(Application, body)
    job = _job_name("application", application.name, run_id)
    server = application.open_metadata_server_connection
    config = {
        "type": "Application",
        "sourcePythonClass": application.source_python_class,
        "appConfig": application.app_configuration,
        "appPrivateConfig": application.private_configuration,
    }
    secret = {constants.SOURCE_CONFIG_KEY: source_config_text(config)}
    files = [_file(job, constants.SOURCE_CONFIG_KEY, constants.SOURCE_CONFIG_DIRECTORY)]
    if token := (server.security_config.jwt_token or "").strip():
        secret[constants.TOKEN_KEY] = token
        files.append(_file(job, constants.TOKEN_KEY, constants.TOKEN_DIRECTORY))
    pipeline = next((known.fully_qualified_name for known in application.pipelines), None)
    document = {
        "pipelineType": "application",
        "server": {
            "hostPort": server.host_port,
            "verifySSL": Server(host_port=server.host_port, verify_ssl=server.verify_ssl).verification,
        },
        "loggerLevel": application.logger_level,
    }
    one_off = OneOff(
        kind="application",
        job=job,
        run_id=run_id,
        entity_name=application.name,
        run_input=_run_input(document | ({"fullyQualifiedName": pipeline} if pipeline else {})),
        files=files,
        pipeline_type="application",
        deadline_seconds=APPLICATION_SECONDS,
    )
    return one_off, secret


def check_is_test(body: Mapping[str, Any]) -> None:
    """Raise Rejected unless the automation is a connection test."""
    if body.get("workflowType") != "TEST_CONNECTION":
        raise Rejected(
            "InvalidParameter", "Invalid parameter value for 'workflowType': only TEST_CONNECTION tests a connection"
        )


def _read(model: type[_Model], body: Mapping[str, Any]) -> _Model:
    try:
        return model.model_validate(dict(body))
    except ValidationError as error:
        raise Rejected("InvalidParameter", describe(error)) from error


def _job_name(kind: str, name: str, run_id: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_SLUG_LIMIT].strip("-")
    digest = hashlib.sha256(f"{name} {run_id}".encode(errors="replace")).hexdigest()[:_NAME_HASH_LENGTH]
    return "-".join(part for part in (kind, slug, digest) if part)


def _file(secret: str, key: str, directory: str) -> SecretFile:
    return SecretFile(key, directory, KeyReference(name=secret, key=key))


def _run_input(document: dict[str, Any]) -> str:
    return json.dumps({"version": RUN_INPUT_VERSION, **document}, sort_keys=True, separators=(",", ":"))
