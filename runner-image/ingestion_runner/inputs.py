"""The inputs of a pod: files under /ingestion and a few environment variables.

The parent and the child both read them. Unknown keys of the run input are ignored, so that an older image can run Jobs
of a newer operator.
"""

import enum
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestion_runner.fields import field
from ingestion_runner.outcomes import ConfigurationError

DEFAULT_FORCE_KILL_AFTER_SECONDS = 20.0
"""How long the child may ignore SIGTERM. Together with the report it must fit into the pod's grace period."""

GRACE_PERIOD_SECONDS = 30.0
"""terminationGracePeriodSeconds of the operator's pods."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VERIFY_SSL = ("no-ssl", "ignore", "validate")
_LOADERS = ("noop", "env")
"""Sources of the credentials for the secrets manager; `airflow` would need Airflow in the image."""
_FILE = "pipeline.json: "

TEST_SUITE = "TestSuite"
"""The pipeline type whose service is a test suite, which has no connection."""

AUTO_CLASSIFICATION = "autoClassification"

APPLICATION = "application"
"""The only pipeline type without a service, which can also run without a pipeline."""


class Kind(enum.StrEnum):
    """The purpose of the pod."""

    RUN = "run"
    AUTOMATION = "automation"
    WARM_AUTOMATION = "warmAutomation"
    """An automation that the pod receives later, after the import of the library."""


@dataclass(frozen=True, slots=True)
class InputPaths:
    """The paths of the mounted inputs.

    ``pipeline`` must exist. The pod of an automation also needs ``automation``, and a warm pod needs the certificate
    and the secret.
    """

    pipeline: Path
    automation: Path
    token: Path
    connection: Path
    source_config: Path
    handover_certificate: Path
    handover_secret: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "InputPaths":
        """Return the paths under INGESTION_ROOT (default ``/ingestion``)."""
        root = Path(environ.get("INGESTION_ROOT", "/ingestion"))
        return cls(
            pipeline=root / "pipeline" / "pipeline.json",
            automation=root / "automation" / "automation",
            token=root / "token" / "token",
            connection=root / "connection" / "connection",
            source_config=root / "source-config" / "source-config",
            handover_certificate=root / "certificate" / "certificate",
            handover_secret=root / "secret" / "secret",
        )

    def read_token(self) -> str | None:
        """Return the bot's JWT, or None if the server needs none."""
        try:
            return self.token.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Server:
    """The OpenMetadata server. ``host_port`` includes ``/api``; ``ca_certificate`` is a path."""

    host_port: str
    verify_ssl: str = "no-ssl"
    ca_certificate: str | None = None
    extra_headers: Mapping[str, str] | None = None
    secrets_manager_provider: str | None = None
    secrets_manager_loader: str | None = None


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """The data for reporting the outcome of a run."""

    server: Server
    fully_qualified_name: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Service:
    """The service of a run; ``type`` as in entity references, such as ``databaseService``."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class RunInput:
    """The whole run input. The runner validates it except for ``source_config``, which the library validates.

    Only an application has no service, and only an application may have no pipeline and therefore no name.
    """

    server: Server
    run_id: str
    fully_qualified_name: str | None
    pipeline_type: str
    service: Service | None
    source_config: Mapping[str, Any] | None
    logger_level: str
    start_date: datetime | None
    end_date: datetime | None
    force_kill_after_seconds: float


def kind_of(document: Mapping[str, Any]) -> Kind:
    """Return the purpose of the pod; the default is a run.

    Raises:
        ConfigurationError: The kind is unknown.
    """
    kind = field(document, "kind", str, where=_FILE, required=False) or Kind.RUN
    try:
        return Kind(kind)
    except ValueError:
        raise ConfigurationError(f"{_FILE}kind is one of {', '.join(Kind)}, not {kind!r}") from None


def run_id_from(environ: Mapping[str, str]) -> str:
    """Return the id of the run: RUN_ID if it is set, otherwise JOB_UID.

    Raises:
        ConfigurationError: Neither is set, or the chosen one is not a UUID.
    """
    for variable in ("RUN_ID", "JOB_UID"):
        value = environ.get(variable, "").strip()
        if value:
            if not _UUID.fullmatch(value):
                raise ConfigurationError(f"{variable} must be a UUID, not {value!r}")
            return value.lower()
    raise ConfigurationError("neither RUN_ID nor JOB_UID is set")


def server_of(data: Mapping[str, Any], *, where: str) -> Server:
    """Return the server from an object in the format of OpenMetadata's ``openMetadataServerConnection``.

    ``where`` is the prefix of the fields' names in messages.

    Raises:
        ConfigurationError: A field is missing or of the wrong type.
    """
    headers = field(data, "extraHeaders", dict, where=where, required=False)
    ssl_config = field(data, "sslConfig", dict, where=where, required=False) or {}
    host_port = field(data, "hostPort", str, where=where).rstrip("/")
    if not host_port.startswith(("http://", "https://")):
        raise ConfigurationError(f"{where}hostPort must start with http:// or https://, not {host_port!r}")
    verify_ssl = field(data, "verifySSL", str, where=where, required=False) or "no-ssl"
    if verify_ssl not in _VERIFY_SSL:
        raise ConfigurationError(f"{where}verifySSL is one of {', '.join(_VERIFY_SSL)}, not {verify_ssl!r}")
    return Server(
        host_port=host_port,
        verify_ssl=verify_ssl,
        ca_certificate=field(ssl_config, "caCertificate", str, where=f"{where}sslConfig.", required=False),
        extra_headers={str(name): str(value) for name, value in headers.items()} if headers else None,
    )


def report_target(document: Mapping[str, Any], run_id: str) -> ReportTarget | None:
    """Return where to report according to the run input, or None for an application without a pipeline.

    Raises:
        ConfigurationError: A field is missing or of the wrong type.
    """
    server = _server(document)
    name = _fully_qualified_name(document)
    return ReportTarget(server=server, fully_qualified_name=name, run_id=run_id) if name is not None else None


def run_input(document: Mapping[str, Any], run_id: str) -> RunInput:
    """Return the whole run input.

    Raises:
        ConfigurationError: A field is missing, of the wrong type or out of its range.
    """
    force_kill = field(document, "forceKillAfterSeconds", (int, float), where=_FILE, required=False)
    if force_kill is None:
        force_kill = DEFAULT_FORCE_KILL_AFTER_SECONDS
    if not 0 < force_kill < GRACE_PERIOD_SECONDS:
        raise ConfigurationError(
            f"forceKillAfterSeconds must be above 0 and below {GRACE_PERIOD_SECONDS:.0f}, not {force_kill}"
        )
    return RunInput(
        server=_with_secrets_manager(_server(document), document["server"]),
        run_id=run_id,
        fully_qualified_name=_fully_qualified_name(document),
        pipeline_type=field(document, "pipelineType", str, where=_FILE),
        service=_service(document),
        source_config=field(document, "sourceConfig", dict, where=_FILE, required=False),
        logger_level=field(document, "loggerLevel", str, where=_FILE, required=False) or "INFO",
        start_date=_instant(document, "startDate"),
        end_date=_instant(document, "endDate"),
        force_kill_after_seconds=float(force_kill),
    )


def refusal_outside_schedule(run: RunInput, now: datetime) -> str | None:
    """Return why the run must not start now, or None if it may. Both dates are inclusive."""
    name = run.fully_qualified_name or "this application"
    if run.start_date is not None and now < run.start_date:
        return f"the schedule of {name} starts at {run.start_date.isoformat()}"
    if run.end_date is not None and now > run.end_date:
        return f"the schedule of {name} ended at {run.end_date.isoformat()}"
    return None


def _server(document: Mapping[str, Any]) -> Server:
    return server_of(field(document, "server", dict, where=_FILE), where=f"{_FILE}server.")


def _with_secrets_manager(server: Server, data: Mapping[str, Any]) -> Server:
    where = f"{_FILE}server."
    loader = field(data, "secretsManagerLoader", str, where=where, required=False) or None
    if loader not in (None, *_LOADERS):
        raise ConfigurationError(
            f"{where}secretsManagerLoader is one of {', '.join(_LOADERS)}, not {loader!r}: "
            "this image does not have Airflow"
        )
    provider = field(data, "secretsManagerProvider", str, where=where, required=False) or None
    return replace(server, secrets_manager_provider=provider, secrets_manager_loader=loader)


def _fully_qualified_name(document: Mapping[str, Any]) -> str | None:
    required = document.get("pipelineType") != APPLICATION
    return field(document, "fullyQualifiedName", str, where=_FILE, required=required) or None


def _service(document: Mapping[str, Any]) -> Service | None:
    # OpenMetadata sets its own metadata service here, and an application without a pipeline has no service.
    if document.get("pipelineType") == APPLICATION:
        return None
    service = field(document, "service", dict, where=_FILE)
    where = f"{_FILE}service."
    return Service(type=field(service, "type", str, where=where), name=field(service, "name", str, where=where))


def _instant(document: Mapping[str, Any], name: str) -> datetime | None:
    text = field(document, name, str, where=_FILE, required=False)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigurationError(f"{_FILE}{name} must be an RFC 3339 time with a zone, not {text!r}")
    return instant
