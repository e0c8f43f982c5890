"""What the gateway calls: the operations of the pipeline service client that are reached over HTTP."""

from collections.abc import Mapping
from typing import Any, Protocol

from ingestion_operator.api.service import LogPage, Response, RunStatus, ServiceStatus


class PipelineService(Protocol):
    """Implemented by K8sPipelineServiceClient.

    `name` is the bare name of a pipeline, as OpenMetadata sends it. Every method may be called from several
    threads at once, is bounded in time, and raises the errors of `errors`: Rejected for what the caller has to
    change, NotFound for an unknown pipeline, LogRangeError for a page that is not there.
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
        """Delete the pipeline and everything of it."""

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        """Pause or un-pause the schedule."""

    def get_pipeline_status(self, name: str, *, only_queued: bool = False, limit: int = 10) -> list[RunStatus]:
        """Return runs, newest first."""

    def get_last_ingestion_logs(self, name: str, *, after: int | None = None) -> LogPage:
        """Return a page of the last run's log."""

    def get_ingestion_logs(self, name: str, run_id: str, *, after: int | None = None) -> LogPage:
        """Return a page of one run's log."""

    def kill_ingestion(self, name: str) -> Response:
        """End all runs."""

    def kill_ingestion_run(self, name: str, run_id: str) -> Response:
        """End one run."""

    def run_automation(self, workflow: Mapping[str, Any]) -> Response:
        """Start an automation."""

    def test_connection(self, workflow: Mapping[str, Any]) -> Response:
        """Start an automation that tests a connection."""

    def run_application(self, application: Mapping[str, Any]) -> Response:
        """Start an application."""

    def get_service_status(self) -> ServiceStatus:
        """Return whether pipelines can be run, and what is missing."""

    def request_get_host_ip(self) -> str:
        """Return the address that runs come from, or "unknown"."""
