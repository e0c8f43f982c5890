"""The results of K8sPipelineServiceClient.

Times are epoch milliseconds, as in OpenMetadata. The gateway translates the results to HTTP.
"""

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

PLATFORM = "Kubernetes"


class ServiceModel(BaseModel):
    """An immutable result. Unknown fields are errors, since only this program creates results."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Response(ServiceModel):
    """The result of an operation that writes."""

    code: int = HTTPStatus.OK.value
    """200: done or accepted. Any other result is raised as an error."""

    reason: str
    """One sentence for the user."""

    platform: str = PLATFORM
    version: str
    """The default version of openmetadata-ingestion, such as 2.0.6.0."""

    run_id: str | None = None
    """The id of the accepted run, if the operation starts one."""


class RunStatus(ServiceModel):
    """One run, with the fields of OpenMetadata's PipelineStatus."""

    run_id: str
    pipeline_state: str
    """queued, running, success, partialSuccess, failed or stopped."""

    start_date: int | None = None
    """Milliseconds; None while the run is queued."""

    timestamp: int
    """Milliseconds: when the run was requested or scheduled."""

    end_date: int | None = None
    """Milliseconds; None until the run ends."""


class LogPage(ServiceModel):
    """A page of a run's log."""

    text: str
    total: int = Field(ge=1)
    """Current number of pages, which grows during the run. An empty log has one empty page."""

    after: int | None = None
    """Index of the next page; None for the last page."""

    pipeline_type: str
    """The pipeline's type, which is the key under which OpenMetadata reads the text."""


class ServiceStatus(ServiceModel):
    """Whether pipelines can run."""

    healthy: bool
    version: str
    """The default version of openmetadata-ingestion."""

    problems: list[str] = []
    """The problems, one sentence each; empty if healthy."""
