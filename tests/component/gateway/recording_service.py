"""A pipeline service that records its calls and gives prepared answers."""

import threading
from collections.abc import Mapping
from typing import Any, TypeVar

from ingestion_operator.api.service import LogPage, Response, RunStatus, ServiceStatus

VERSION = "2.0.6.0"
_T = TypeVar("_T")
Call = tuple[str, dict[str, Any]]


class RecordingService:
    """Implements PipelineService. `answers[method]` is what it returns, or an exception that it raises."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.calls: list[Call] = []
        self.answers: dict[str, Any] = {}
        self.gates: dict[str, threading.Event] = {}
        """A method with a gate waits until the gate is set."""

    def deploy_pipeline(self, entity: Mapping[str, Any]) -> Response:
        return self._answer("deploy_pipeline", self._done("deployed"), entity=entity)

    def run_pipeline(
        self,
        name: str,
        *,
        run_id: str | None = None,
        config_override: Mapping[str, Any] | None = None,
        source_config_override: Mapping[str, Any] | None = None,
    ) -> Response:
        given = {
            "run_id": run_id, "config_override": config_override, "source_config_override": source_config_override,
        }  # fmt: skip
        chosen = {key: value for key, value in given.items() if value is not None}
        return self._answer("run_pipeline", self._done("accepted"), name=name, **chosen)

    def delete_pipeline(self, name: str) -> Response:
        return self._answer("delete_pipeline", self._done("deleted"), name=name)

    def toggle_ingestion(self, name: str, *, enabled: bool) -> Response:
        return self._answer("toggle_ingestion", self._done("set"), name=name, enabled=enabled)

    def get_pipeline_status(self, name: str, *, only_queued: bool = False, limit: int = 10) -> list[RunStatus]:
        return self._answer("get_pipeline_status", [], name=name, only_queued=only_queued, limit=limit)

    def get_last_ingestion_logs(self, name: str, *, after: int | None = None) -> LogPage:
        page = LogPage(text="line\n", total=1, pipeline_type="metadata")
        return self._answer("get_last_ingestion_logs", page, name=name, after=after)

    def get_ingestion_logs(self, name: str, run_id: str, *, after: int | None = None) -> LogPage:
        page = LogPage(text="a run's line\n", total=1, pipeline_type="metadata")
        return self._answer("get_ingestion_logs", page, name=name, run_id=run_id, after=after)

    def kill_ingestion(self, name: str) -> Response:
        return self._answer("kill_ingestion", self._done("killed"), name=name)

    def kill_ingestion_run(self, name: str, run_id: str) -> Response:
        return self._answer("kill_ingestion_run", self._done("killed"), name=name, run_id=run_id)

    def run_automation(self, workflow: Mapping[str, Any]) -> Response:
        return self._answer("run_automation", self._done("started"), document=workflow)

    def test_connection(self, workflow: Mapping[str, Any]) -> Response:
        return self._answer("test_connection", self._done("started"), document=workflow)

    def run_application(self, application: Mapping[str, Any]) -> Response:
        return self._answer("run_application", self._done("started"), document=application)

    def get_service_status(self) -> ServiceStatus:
        return self._answer("get_service_status", ServiceStatus(healthy=True, version=VERSION))

    def request_get_host_ip(self) -> str:
        return self._answer("request_get_host_ip", "203.0.113.7")

    def _done(self, text: str) -> Response:
        return Response(reason=text, version=VERSION)

    def _answer(self, method: str, usual: _T, **arguments: Any) -> _T:
        self.calls.append((method, arguments))
        if gate := self.gates.get(method):
            assert gate.wait(60)
        answer: _T = self.answers.get(method, usual)
        if isinstance(answer, BaseException):
            raise answer
        return answer
