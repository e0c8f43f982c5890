"""The workflow's configuration, rendered from the template of the pipeline type."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ingestion_runner.inputs import InputPaths, RunInput, Server
from ingestion_runner.outcomes import Reason, RunError
from ingestion_runner.server import bundled_ca_certificates
from ingestion_runner.workflow.literals import literal

TEMPLATES = Path(__file__).parent.parent / "templates"

WORKFLOW_CLASSES: Mapping[str, tuple[str, str]] = {
    "TestSuite": ("metadata.workflow.data_quality", "TestSuiteWorkflow"),
    "application": ("metadata.workflow.application", "ApplicationWorkflow"),
    "autoClassification": ("metadata.workflow.classification", "AutoClassificationWorkflow"),
    "dbt": ("metadata.workflow.metadata", "MetadataWorkflow"),
    "lineage": ("metadata.workflow.metadata", "MetadataWorkflow"),
    "metadata": ("metadata.workflow.metadata", "MetadataWorkflow"),
    "profiler": ("metadata.workflow.profiler", "ProfilerWorkflow"),
    "usage": ("metadata.workflow.usage", "UsageWorkflow"),
}
"""The library's class (module, name) for each supported pipeline type; each has a template of its name."""

NO_TOKEN = "no_token"  # noqa: S105 - the library's own word for "send none"


@dataclass(frozen=True, slots=True)
class WorkflowInputs:
    """What the templates are filled with, besides the run input; applications and test suites have no service type."""

    service_type: str | None
    source_config: Mapping[str, Any]
    connection: Mapping[str, Any] | None
    jwt_token: str


def require_supported(pipeline_type: str) -> None:
    """Refuse a pipeline type that this image cannot run.

    Raises
    ------
    RunError
        With the types it can run.
    """
    if pipeline_type not in WORKFLOW_CLASSES:
        raise RunError(
            Reason.UNSUPPORTED_PIPELINE_TYPE,
            f"this runner cannot run pipelines of type {pipeline_type!r}; it can run: "
            f"{', '.join(sorted(WORKFLOW_CLASSES))}",
        )


def render_config(run: RunInput, inputs: WorkflowInputs) -> str:
    """The configuration as YAML text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=literal,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - it writes YAML, and `finalize` quotes every value
    )
    return environment.get_template(f"{run.pipeline_type}.yaml.j2").render(
        run=run,
        server=run.server,
        ca_certificate=_ca_certificate(run.server),
        service_type=inputs.service_type,
        source_config=inputs.source_config,
        connection=inputs.connection,
        jwt_token=inputs.jwt_token,
    )


def build_config(run: RunInput, inputs: WorkflowInputs) -> dict[str, Any]:
    """The configuration as the library's ``create`` takes it."""
    config: dict[str, Any] = yaml.safe_load(render_config(run, inputs))
    return config


def jwt_token_of(paths: InputPaths) -> str:
    """What the library is given as token: the path of the mounted file, which it reads for itself."""
    return str(paths.token) if paths.read_token() else NO_TOKEN


def _ca_certificate(server: Server) -> str | None:
    # The library refuses `validate` without a certificate, though its HTTP client has a bundle of its own.
    if server.verify_ssl == "validate":
        return server.ca_certificate or bundled_ca_certificates()
    return None
