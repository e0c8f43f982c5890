"""What the pod is given: files under /ingestion and a few environment variables.

The parent and the child each read them for themselves. Unknown keys of the run input are ignored, so that an
older image can run what a newer operator has written.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestion_runner.outcomes import Reason, RunError

DEFAULT_FORCE_KILL_AFTER_SECONDS = 20.0
"""How long the child may ignore SIGTERM. With the time to report it must fit into the pod's grace period."""

GRACE_PERIOD_SECONDS = 30.0
"""terminationGracePeriodSeconds of the pods the operator renders."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VERIFY_SSL = ("no-ssl", "ignore", "validate")


class ConfigurationError(RunError):
    """The pod was given something it cannot work with; another attempt would be given the same."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INVALID_CONFIGURATION, message)


@dataclass(frozen=True, slots=True)
class InputPaths:
    """Where the inputs are mounted. Only ``pipeline`` must exist."""

    pipeline: Path
    token: Path
    connection: Path
    source_config: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "InputPaths":
        """The paths of the pod contract, under INGESTION_ROOT (default ``/ingestion``)."""
        root = Path(environ.get("INGESTION_ROOT", "/ingestion"))
        return cls(
            pipeline=root / "pipeline" / "pipeline.json",
            token=root / "token" / "token",
            connection=root / "connection" / "connection",
            source_config=root / "source-config" / "source-config",
        )

    def read_token(self) -> str | None:
        """The bot's JWT, or None when the server needs none."""
        try:
            return self.token.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Server:
    """The OpenMetadata server: ``host_port`` includes ``/api``; ``ca_certificate`` is a path."""

    host_port: str
    verify_ssl: str = "no-ssl"
    ca_certificate: str | None = None
    extra_headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """All that is needed to report the outcome of a run."""

    server: Server
    fully_qualified_name: str
    run_id: str


@dataclass(frozen=True, slots=True)
class RunInput:
    """The whole run input, checked as far as the parent needs it; the library checks ``source_config``."""

    target: ReportTarget
    pipeline_type: str
    service_type: str
    service_name: str
    source_config: Mapping[str, Any] | None
    logger_level: str
    start_date: datetime | None
    end_date: datetime | None
    force_kill_after_seconds: float


def read_document(path: Path) -> dict[str, Any]:
    """Read the run input.

    Raises
    ------
    ConfigurationError
        The file cannot be read or holds no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} must hold a JSON object")
    return document


def run_id_from(environ: Mapping[str, str]) -> str:
    """The id of the run: RUN_ID when given, else JOB_UID.

    Raises
    ------
    ConfigurationError
        Neither is set, or the chosen one is not a UUID.
    """
    for variable in ("RUN_ID", "JOB_UID"):
        value = environ.get(variable, "").strip()
        if value:
            if not _UUID.fullmatch(value):
                raise ConfigurationError(f"{variable} must be a UUID, not {value!r}")
            return value.lower()
    raise ConfigurationError("neither RUN_ID nor JOB_UID is set")


def report_target(document: Mapping[str, Any], run_id: str) -> ReportTarget:
    """The part of the run input that says where to report.

    Raises
    ------
    ConfigurationError
        A field is missing or of the wrong type.
    """
    server = _field(document, "server", dict)
    headers = _field(server, "extraHeaders", dict, required=False, where="server.")
    ssl_config = _field(server, "sslConfig", dict, required=False, where="server.") or {}
    host_port = _field(server, "hostPort", str, where="server.").rstrip("/")
    if not host_port.startswith(("http://", "https://")):
        raise ConfigurationError(f"server.hostPort must start with http:// or https://, not {host_port!r}")
    verify_ssl = _field(server, "verifySSL", str, required=False, where="server.") or "no-ssl"
    if verify_ssl not in _VERIFY_SSL:
        raise ConfigurationError(f"server.verifySSL is one of {', '.join(_VERIFY_SSL)}, not {verify_ssl!r}")
    return ReportTarget(
        server=Server(
            host_port=host_port,
            verify_ssl=verify_ssl,
            ca_certificate=_field(ssl_config, "caCertificate", str, required=False, where="server.sslConfig."),
            extra_headers={str(name): str(value) for name, value in headers.items()} if headers else None,
        ),
        fully_qualified_name=_field(document, "fullyQualifiedName", str),
        run_id=run_id,
    )


def run_input(document: Mapping[str, Any], target: ReportTarget) -> RunInput:
    """The whole run input.

    Raises
    ------
    ConfigurationError
        A field is missing, of the wrong type or out of its range.
    """
    service = _field(document, "service", dict)
    force_kill = _field(document, "forceKillAfterSeconds", (int, float), required=False)
    if force_kill is None:
        force_kill = DEFAULT_FORCE_KILL_AFTER_SECONDS
    if not 0 < force_kill < GRACE_PERIOD_SECONDS:
        raise ConfigurationError(
            f"forceKillAfterSeconds must be above 0 and below {GRACE_PERIOD_SECONDS:.0f}, not {force_kill}"
        )
    return RunInput(
        target=target,
        pipeline_type=_field(document, "pipelineType", str),
        service_type=_field(service, "type", str, where="service."),
        service_name=_field(service, "name", str, where="service."),
        source_config=_field(document, "sourceConfig", dict, required=False),
        logger_level=_field(document, "loggerLevel", str, required=False) or "INFO",
        start_date=_instant(document, "startDate"),
        end_date=_instant(document, "endDate"),
        force_kill_after_seconds=float(force_kill),
    )


def refusal_outside_schedule(run: RunInput, now: datetime) -> str | None:
    """Why the run must not start now, or None when it may. Both dates are inclusive."""
    if run.start_date is not None and now < run.start_date:
        return f"the schedule of {run.target.fully_qualified_name} starts at {run.start_date.isoformat()}"
    if run.end_date is not None and now > run.end_date:
        return f"the schedule of {run.target.fully_qualified_name} ended at {run.end_date.isoformat()}"
    return None


def _field(data: Mapping[str, Any], name: str, kind: Any, *, required: bool = True, where: str = "") -> Any:
    value = data.get(name)
    if value is None:
        if required:
            raise ConfigurationError(f"pipeline.json: {where}{name} is missing")
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = "a number" if isinstance(kind, tuple) else {str: "a string", dict: "an object"}[kind]
        raise ConfigurationError(f"pipeline.json: {where}{name} must be {expected}")
    if value == "" and required:
        raise ConfigurationError(f"pipeline.json: {where}{name} is empty")
    return value


def _instant(document: Mapping[str, Any], name: str) -> datetime | None:
    text = _field(document, name, str, required=False)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigurationError(f"pipeline.json: {name} must be an RFC 3339 time with a zone, not {text!r}")
    return instant
