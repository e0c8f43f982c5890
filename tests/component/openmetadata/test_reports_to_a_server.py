"""The operator and a server that checks rows with OpenMetadata's own models: every way in which it closes a run."""

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.openmetadata.status_sink import OpenMetadataStatusSink
from ingestion_operator.api.resource import Pipeline, parse_status
from ingestion_operator.logs.run_tails import RunLogTails
from ingestion_operator.ports import JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.reporting.circuit_breaker import Breakers
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_openmetadata_client import FakeServerClient
from testing.objects import NAME, NAMESPACE, NOW, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling
from tests.component.fake_openmetadata.api import Api
from tests.component.openmetadata.conftest import TOKEN

KEY = PipelineKey(NAMESPACE, NAME)
RUN = "5f0c0000-0000-4000-8000-000000000001"
ROW = "pipelineStatus"
FQN = "shop.nightly"
START = int(NOW.timestamp() * 1000)
INTERRUPTED = [{"name": "Runner", "records": 0, "errors": 1, "failures": [{"name": "Interrupted", "error": "asked"}]}]


class Operator:
    """The operator with its real client of OpenMetadata, and the cluster it sees."""

    def __init__(self, fake_server: FakeServerClient) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.logs = FakeLogs()
        sink = OpenMetadataStatusSink(response_seconds=1.0)
        breakers = Breakers(lambda: self.clock.now().timestamp())
        self.reporter = Reporter(self.cluster, sink, settings, self.clock, RunLogTails(self.logs), breakers)
        self._reconciling = Reconciling(self.cluster, settings, self.clock, self.reporter)
        self._server = {"hostPort": fake_server.host_port, "tokenSecretRef": {"name": "bot", "key": "token"}}
        self.put_token(TOKEN)
        self.put_pipeline()

    def put_token(self, token: str) -> None:
        data = {"token": base64.b64encode(token.encode()).decode()}
        self.cluster.put(SECRETS, {"metadata": {"name": "bot", "namespace": NAMESPACE}, "data": data})

    def put_pipeline(self, *, version: str = "2.0", **changes: Any) -> Pipeline:
        self.cluster.put(PIPELINES, manifest(server=self._server | {"version": version}, **changes))
        (body,) = self.cluster.all(PIPELINES)
        return Pipeline.parse(body)

    def put(self, found: Body, *pods: Body) -> None:
        self.cluster.put(JOBS, found)
        for one in pods:
            self.cluster.put(PODS, one)

    def reconcile(self) -> None:
        self._reconciling.reconcile(KEY, [])

    def reconcile_when_woken(self) -> None:
        """Let the longest pause pass."""
        self.clock.forward(minutes=1)
        for namespace, name in self.reporter.due():
            self._reconciling.reconcile(PipelineKey(namespace, name), [])

    @property
    def report(self) -> tuple[str | None, str]:
        (body,) = self.cluster.all(PIPELINES)
        status = parse_status(body)
        return status.runs[0].report, next(c.reason for c in status.conditions if c.type == "Reported")


@pytest.fixture
def operator(fake_server: FakeServerClient) -> Operator:
    return Operator(fake_server)


@pytest.fixture
def write_row(fake_server: FakeServerClient) -> Callable[..., None]:
    """Write the run's row as the workflow or the runner's parent would."""

    def write(state: str, seconds: float | None = None, fqn: str = FQN, **more: Any) -> None:
        ended = {} if seconds is None else {"endDate": START + int(seconds * 1000)}
        row = {"runId": RUN, "pipelineState": state, "timestamp": START, "startDate": START} | ended | more
        code, answer = Api(fake_server).call("PUT", f"/services/ingestionPipelines/{fqn}/{ROW}", row)
        assert code == 200, answer

    return write


def failed(*, killed: bool = False, suspended: bool = False, **more: Any) -> Body:
    body = job(condition=None if suspended else "Failed", run_id=RUN, suspended=suspended, **more)
    if killed:
        body["metadata"]["annotations"] |= {constants.ANNOTATION_STOP: at(30), constants.ANNOTATION_REQUESTED_AT: at(0)}
    return body


def only_row(fake_server: FakeServerClient) -> dict[str, Any]:
    (run,) = fake_server.runs()
    assert fake_server.calls(invalid=True) == []
    assert run["runId"] == RUN
    return dict(run)


def first_failure(run: Mapping[str, Any]) -> dict[str, Any]:
    (step,) = run["row"]["status"]
    assert step["name"] == "Operator"
    return dict(step["failures"][0])


def test_a_run_out_of_memory(fake_server: FakeServerClient, operator: Operator, write_row: Callable[..., None]) -> None:
    write_row("running")
    operator.logs.texts["nightly-1-a"] = "Größe 🌙\n\x1b[31mlast\x1b[0m".encode()
    operator.put(failed(), pod(exit_code=137, terminated_reason="OOMKilled"))
    operator.reconcile()
    run = only_row(fake_server)
    assert (run["state"], first_failure(run)["name"]) == ("failed", "OutOfMemory")
    assert first_failure(run)["stackTrace"] == "Größe 🌙\nlast"
    assert (run["terminalStates"], operator.report) == (["failed"], ("Done", "AllReported"))


@pytest.mark.parametrize(("version", "state"), [("2.0", "stopped"), ("1.13", "failed")])
def test_a_killed_run_that_its_parent_closed_provisionally(
    fake_server: FakeServerClient, operator: Operator, write_row: Callable[..., None], version: str, state: str
) -> None:
    operator.put_pipeline(version=version)
    write_row("running")
    write_row("failed", 49, status=INTERRUPTED)
    operator.put(failed(killed=True, reason="DeadlineExceeded"), pod(exit_code=143))
    operator.reconcile()
    operator.reconcile()
    run = only_row(fake_server)
    assert (run["terminalStates"], first_failure(run)["name"]) == (["failed", state], "Killed")


def test_a_run_killed_in_the_queue(fake_server: FakeServerClient, operator: Operator) -> None:
    operator.put(failed(killed=True, suspended=True, scheduled=False))
    operator.reconcile()
    run = only_row(fake_server)
    assert (run["terminalStates"], first_failure(run)["error"]) == (["stopped"], "Stopped on request before it started")
    assert operator.cluster.all(JOBS) == []


def test_a_success_that_was_not_reported(
    fake_server: FakeServerClient, operator: Operator, write_row: Callable[..., None]
) -> None:
    write_row("running")
    operator.put(job(condition="Complete", run_id=RUN), pod(exit_code=0))
    operator.reconcile()
    run = only_row(fake_server)
    assert (run["state"], run["row"]["endDate"]) == ("success", START + 50_000)
    assert "failures" not in run["row"]["status"][0]


def test_a_row_that_the_workflow_closed_stays(
    fake_server: FakeServerClient, operator: Operator, write_row: Callable[..., None]
) -> None:
    write_row("partialSuccess", 48)
    operator.put(failed(), pod(exit_code=137, terminated_reason="OOMKilled"))
    operator.reconcile()
    assert (only_row(fake_server)["writes"], operator.report) == (1, ("Done", "AllReported"))


def test_a_row_of_an_earlier_attempt_is_replaced(
    fake_server: FakeServerClient, operator: Operator, write_row: Callable[..., None]
) -> None:
    write_row("failed", 20)
    pods = [pod("a", exit_code=1, ended=21), pod("b", created=40, exit_code=137, terminated_reason="OOMKilled")]
    operator.put(failed(backoff_limit=1), *pods)
    operator.reconcile()
    assert first_failure(only_row(fake_server))["name"] == "OutOfMemory"


def test_a_name_with_dots_quotes_and_unicode(fake_server: FakeServerClient, operator: Operator) -> None:
    service = fake_server.register_service("größe.北", "Postgres")
    pipeline = operator.put_pipeline(
        service={"type": "databaseService", "name": "größe.北"}, fullyQualifiedName='"größe.北"."n\\"2.5\\" 🌙/x"'
    )
    create = {
        "name": 'n"2.5" 🌙/x',
        "pipelineType": "metadata",
        "service": {"id": service["id"], "type": "databaseService"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
        "airflowConfig": {},
    }
    created = Api(fake_server).call("PUT", "/services/ingestionPipelines", create)[1]
    assert created["fullyQualifiedName"] == pipeline.fully_qualified_name
    operator.put(failed(), pod(exit_code=137))
    operator.reconcile()
    assert only_row(fake_server)["fqn"] == pipeline.fully_qualified_name


def test_a_wrong_token_until_it_is_right(fake_server: FakeServerClient, operator: Operator) -> None:
    operator.put_token("wrong")
    operator.put(failed(), pod(exit_code=137))
    operator.reconcile()
    assert (operator.report, fake_server.runs()) == (("Pending", "ReportPending"), [])
    operator.put_token(TOKEN)
    operator.reconcile_when_woken()
    assert (only_row(fake_server)["writes"], operator.report) == (1, ("Done", "AllReported"))


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 503, "method": "PUT"}, {"status": 0}, {"status": 0, "method": "PUT"}],
    ids=["503", "503 at the write", "cut", "cut at the write"],
)
def test_a_server_that_fails_until_it_does_not(
    fake_server: FakeServerClient, operator: Operator, fault: Mapping[str, Any]
) -> None:
    fake_server.set_faults({"path": ROW, **fault})
    operator.put(failed(), pod(exit_code=137))
    for _ in range(3):
        operator.reconcile()
        assert operator.report == ("Pending", "ReportPending")
    assert len(fake_server.calls()) <= 2
    operator.reconcile_when_woken()
    fake_server.clear_faults()
    operator.reconcile_when_woken()
    assert (only_row(fake_server)["writes"], operator.report) == (1, ("Done", "AllReported"))


def test_a_write_whose_answer_comes_too_late_is_found_done(fake_server: FakeServerClient, operator: Operator) -> None:
    fake_server.set_faults({"path": ROW, "method": "PUT", "delaySeconds": 2, "times": 1})
    operator.put(failed(), pod(exit_code=137))
    began = time.monotonic()
    operator.reconcile()
    assert time.monotonic() - began < 2
    assert operator.report == ("Pending", "ReportPending")
    assert fake_server.wait_for_run(FQN, timeout=10)["writes"] == 1
    operator.reconcile_when_woken()
    assert (only_row(fake_server)["writes"], operator.report) == (1, ("Done", "AllReported"))


def test_a_pipeline_that_the_server_has_not(fake_server: FakeServerClient, operator: Operator) -> None:
    operator.put_pipeline(fullyQualifiedName="shop.other")
    operator.put(failed(), pod(exit_code=137))
    operator.reconcile()
    assert (operator.report, fake_server.runs()) == (("Refused", "ReportRefused"), [])
