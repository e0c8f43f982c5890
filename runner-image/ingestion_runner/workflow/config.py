"""The configuration of the workflow, rendered from the template of the pipeline type."""

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
"""The library's class (module, name) of each supported pipeline type. Each type has a template with its name."""

NO_TOKEN = "no_token"  # noqa: S105 - the library's value for no token


@dataclass(frozen=True, slots=True)
class WorkflowInputs:
    """Values for the templates, in addition to the run input. Applications and test suites have no service type."""

    service_type: str | None
    source_config: Mapping[str, Any]
    connection: Mapping[str, Any] | None
    jwt_token: str


def require_supported(pipeline_type: str) -> None:
    """Check that this image supports a pipeline type.

    Raises:
        RunError: It does not; the message has the supported types.
    """
    if pipeline_type not in WORKFLOW_CLASSES:
        raise RunError(
            Reason.UNSUPPORTED_PIPELINE_TYPE,
            f"this runner cannot run pipelines of type {pipeline_type!r}; it can run: "
            f"{', '.join(sorted(WORKFLOW_CLASSES))}",
        )


def render_config(run: RunInput, inputs: WorkflowInputs) -> str:
    """Return the configuration as YAML text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=literal,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is YAML, and `finalize` quotes every value
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
    """Return the configuration for ``create`` of the library."""
    config: dict[str, Any] = yaml.safe_load(render_config(run, inputs))
    return config


def jwt_token_of(paths: InputPaths) -> str:
    """Return the token for the library: the path of the mounted file, which the library reads."""
    return str(paths.token) if paths.read_token() else NO_TOKEN


def _ca_certificate(server: Server) -> str | None:
    # The library rejects `validate` without a certificate, although its HTTP client has a CA bundle.
    if server.verify_ssl == "validate":
        return server.ca_certificate or bundled_ca_certificates()
    return None
