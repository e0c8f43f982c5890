"""What K8sPipelineServiceClient answers.

Times are epoch milliseconds, as OpenMetadata writes them. How these travel over HTTP is the gateway's affair.
"""

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

PLATFORM = "Kubernetes"


class ServiceModel(BaseModel):
    """A frozen answer; misspelt fields are errors, because only this program fills them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Response(ServiceModel):
    """The answer to an operation that changes something."""

    code: int = HTTPStatus.OK.value
    """200: done or accepted. Everything else is raised as an error."""

    reason: str
    """One sentence for a person."""

    platform: str = PLATFORM
    version: str
    """The version of openmetadata-ingestion that runs by default, such as 2.0.6.0."""

    run_id: str | None = None
    """The run that was accepted, where the operation starts one."""


class RunStatus(ServiceModel):
    """One run, in the vocabulary of OpenMetadata's PipelineStatus."""

    run_id: str
    pipeline_state: str
    """queued, running, success, partialSuccess, failed or stopped."""

    start_date: int | None = None
    """Milliseconds; None while the run is queued."""

    timestamp: int
    """Milliseconds: when the run was asked for or due."""

    end_date: int | None = None
    """Milliseconds; None while the run is not over."""


class LogPage(ServiceModel):
    """A page of a run's log."""

    text: str
    total: int = Field(ge=1)
    """Number of pages there are now; grows while the run goes on. An empty log has one empty page."""

    after: int | None = None
    """Index of the next page; None on the last one."""

    pipeline_type: str
    """The pipeline's type, which is the key under which OpenMetadata reads the text."""


class ServiceStatus(ServiceModel):
    """Whether pipelines can be run here."""

    healthy: bool
    version: str
    """The version of openmetadata-ingestion that runs by default."""

    problems: list[str] = []
    """What is missing, one sentence each; empty when healthy."""
