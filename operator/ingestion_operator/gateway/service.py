"""The interface of the pipeline service client that the gateway calls."""

from collections.abc import Mapping
from typing import Any, Protocol

from ingestion_operator.api.service import LogPage, Response, RunStatus, ServiceStatus


class PipelineService(Protocol):
    """Implemented by K8sPipelineServiceClient.

    `name` is the name of a pipeline in OpenMetadata, without the service. Every method is thread-safe and bounded in
    time. It raises the errors of `errors`: Rejected for an invalid request, NotFound for an unknown pipeline,
    LogRangeError for a page that does not exist.
    """

    def deploy_pipeline(self, entity: Mapping[str, Any]) -> Response:
        """Create or update the pipeline from OpenMetadata's entity."""

    def run_pipeline(
        self,
        name: str,
        *,
        run_id: str | None = None,
        config_override: Mapping[str, Any] | None = None,
        source_config_override: Mapping[str, Any] | None = None,
    ) -> Response:
        """Accept a run."""

    def delete_pipeline(self, name: str) -> Response:
        """Delete the pipeline with its runs and Secrets."""

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        """Resume or pause the schedule."""

    def get_pipeline_status(self, name: str, *, only_queued: bool = False, limit: int = 10) -> list[RunStatus]:
        """Return runs, newest first."""

    def get_last_ingestion_logs(self, name: str, *, after: int | None = None) -> LogPage:
        """Return a page of the log of the last run."""

    def get_ingestion_logs(self, name: str, run_id: str, *, after: int | None = None) -> LogPage:
        """Return a page of the log of one run."""

    def kill_ingestion(self, name: str) -> Response:
        """Stop all runs."""

    def kill_ingestion_run(self, name: str, run_id: str) -> Response:
        """Stop one run."""

    def run_automation(self, workflow: Mapping[str, Any]) -> Response:
        """Start an automation."""

    def test_connection(self, workflow: Mapping[str, Any]) -> Response:
        """Start an automation that tests a connection."""

    def run_application(self, application: Mapping[str, Any]) -> Response:
        """Start an application."""

    def get_service_status(self) -> ServiceStatus:
        """Return whether pipelines can run, and the problems that prevent it."""

    def request_get_host_ip(self) -> str:
        """Return the source address of runs, or "unknown"."""
