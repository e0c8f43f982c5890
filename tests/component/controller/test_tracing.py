"""Traces over HTTP to a collector that takes them, is slow, refuses, or is not there: only spans may be lost."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.controller.tracing import TraceExporter
from ingestion_operator.errors import Conflict, OperatorError
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.reporting.reporter import Reporter
from ingestion_operator.runs.jobs import PipelineKey
from testing.collector import Collector, start_collector
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.objects import NAME, NAMESPACE, NOW, at, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.waiting import wait_for

KEY = PipelineKey(NAMESPACE, NAME)
RUN = ["run", "queue", "pod", "attempt"]
NOWHERE = "http://127.0.0.1:1"
"""Nothing listens on port 1."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with start_collector() as started:
        yield started


class Outcomes:
    """How many spans were sent and dropped."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, outcome: str, spans: int) -> None:
        self.counts[outcome] += spans


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


Start = Callable[..., Reconciling]


@pytest.fixture
def start(
    cluster: FakeCluster, clock: FakeClock, settings_in_force: list[Settings], reporter: Reporter, outcomes: Outcomes
) -> Iterator[Start]:
    """Start an operator that sends traces to `endpoint`, over what is in the cluster."""
    exporters: list[TraceExporter] = []

    def begin(endpoint: str | None, headers: str = "", *, queue_traces: int = 1000) -> Reconciling:
        settings_in_force.append(settings(tracing={"endpoint": endpoint}))
        exporter = TraceExporter(
            lambda: settings_in_force[-1],
            clock,
            outcomes,
            headers,
            batch_seconds=0.01,
            pauses=(0.01, 0.01),
            queue_traces=queue_traces,
        )
        exporters.append(exporter)
        return Reconciling(cluster, lambda: settings_in_force[-1], clock, reporter, observers=[exporter])

    yield begin
    for exporter in exporters:
        exporter.close()


def run_through(cluster: FakeCluster, reconciling: Reconciling, name: str = "nightly-1") -> None:
    """A run, from its Job to its end, with a reconciliation at each step and some more."""
    for body, one in (
        (job(name), pod(of=name, running=True)),
        (job(name, condition="Complete"), pod(of=name, exit_code=0)),
    ):
        cluster.put(JOBS, body)
        cluster.put(PODS, one)
        for _ in range(2):
            with suppress(Conflict):
                reconciling.reconcile(KEY, [])


def names(collector: Collector) -> list[str]:
    return [span["name"] for span in collector.spans]


def test_a_run_reaches_the_collector_once_in_its_encoding(
    cluster: FakeCluster, start: Start, collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    run_through(cluster, start(collector.endpoint, "authorization=Bearer%20abc, x-tenant=data"))
    wait_for("the spans", lambda: outcomes.counts, timeout=10)
    assert names(collector) == RUN
    assert outcomes.counts == {"sent": 4}
    (headers,) = collector.headers
    assert headers["content-type"] == "application/json"
    assert (headers["authorization"], headers["x-tenant"]) == ("Bearer abc", "data")
    (resource,) = collector.bodies[0]["resourceSpans"]
    assert {"key": "service.name", "value": {"stringValue": "ingestion-operator"}} in resource["resource"]["attributes"]
    root, _, _, attempt = collector.spans
    started, ended = int(NOW.timestamp()) + 2, int(NOW.timestamp()) + 50
    assert (attempt["startTimeUnixNano"], attempt["endTimeUnixNano"]) == (f"{started}000000000", f"{ended}000000000")
    assert (attempt["traceId"], attempt["parentSpanId"]) == (root["traceId"], root["spanId"])
    assert {"key": "ingestion.attempt.exit_code", "value": {"intValue": "0"}} in attempt["attributes"]
    assert "parentSpanId" not in root
    assert root["kind"] == 1


def test_a_failure_and_the_deploy_before_it_are_encoded(
    cluster: FakeCluster, start: Start, collector: Collector
) -> None:
    body = manifest()
    body["metadata"]["managedFields"] = [{"manager": "kubectl", "time": at(-5), "fieldsV1": {"f:spec": {}}}]
    cluster.put(PIPELINES, body)
    reconciling = start(collector.endpoint)
    reconciling.reconcile(KEY, [])
    cluster.put(JOBS, job(condition="Failed"))
    cluster.put(PODS, pod(exit_code=1))
    reconciling.reconcile(KEY, [])
    wait_for("the spans", lambda: len(collector.spans) == 5, timeout=10)
    deploy, root, *_, attempt = collector.spans
    assert deploy["name"] == "deploy"
    assert int(deploy["endTimeUnixNano"]) - int(deploy["startTimeUnixNano"]) == 5_000_000_000
    assert root["links"] == [{"traceId": deploy["traceId"], "spanId": deploy["spanId"]}]
    assert root["status"]["code"] == 2
    assert "nightly-1-a" in root["status"]["message"]
    assert attempt["status"] == {"code": 2, "message": "Error"}
    assert "status" not in deploy


def test_an_operator_after_a_lost_write_sends_the_same_spans(
    cluster: FakeCluster, start: Start, collector: Collector
) -> None:
    cluster.put(PIPELINES, manifest())
    first, second = start(collector.endpoint), start(collector.endpoint)
    run_through(cluster, first)
    cluster.edit(PIPELINES, NAMESPACE, NAME, lambda body: body["status"].pop("runs"))
    second.reconcile(KEY, [])
    wait_for("both", lambda: len(collector.spans) == 8, timeout=10)
    ids = [(span["traceId"], span["spanId"]) for span in collector.spans]
    assert ids[:4] == ids[4:]


def test_nothing_is_sent_or_started_without_an_endpoint(
    cluster: FakeCluster, start: Start, settings_in_force: list[Settings], collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    reconciling = start(None)
    run_through(cluster, reconciling)
    settings_in_force.append(settings(tracing={"endpoint": collector.endpoint}))
    run_through(cluster, reconciling, "nightly-2")
    wait_for("what came after the setting", lambda: outcomes.counts, timeout=10)
    assert names(collector) == RUN
    (job_name,) = [a["value"] for a in collector.spans[0]["attributes"] if a["key"] == "k8s.job.name"]
    assert job_name == {"stringValue": "nightly-2"}


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_collector_that_is_busy_is_asked_again(
    code: int, cluster: FakeCluster, start: Start, collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    collector.codes = [code, code]
    run_through(cluster, start(collector.endpoint))
    wait_for("the spans", lambda: outcomes.counts, timeout=10)
    assert outcomes.counts == {"sent": 4}


def test_a_collector_that_refuses_is_named_once(
    cluster: FakeCluster, start: Start, collector: Collector, outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.put(PIPELINES, manifest())
    reconciling = start(collector.endpoint)
    collector.codes = [400, 400]
    with caplog.at_level(logging.INFO, "ingestion_operator.controller.tracing"):
        for number in (1, 2, 3):
            run_through(cluster, reconciling, f"nightly-{number}")
            wait_for("an answer", lambda: sum(outcomes.counts.values()) == 4 * number, timeout=10)  # noqa: B023  at once
    assert outcomes.counts == {"dropped": 8, "sent": 4}
    assert len(collector.headers) == 3
    lost, found = [record.getMessage() for record in caplog.records]
    assert lost == f"Traces are lost: POST {collector.endpoint}/v1/traces: HTTP 400"
    assert found == f"Traces are accepted again by {collector.endpoint}/v1/traces"


def test_a_silent_collector_delays_no_reconciliation(
    cluster: FakeCluster, start: Start, collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    collector.answers.clear()
    reconciling = start(collector.endpoint, queue_traces=2)
    run_through(cluster, reconciling, "nightly-0")
    wait_for("the request that is stuck", lambda: collector.headers, timeout=10)
    began = time.monotonic()
    for number in range(1, 6):
        run_through(cluster, reconciling, f"nightly-{number}")
    assert time.monotonic() - began < 1
    assert outcomes.counts == {"dropped": 3 * 4}
    collector.answers.set()
    wait_for("the others", lambda: outcomes.counts["sent"] == 3 * 4, timeout=15)
    (body,) = cluster.all(PIPELINES)
    assert len(body["status"]["runs"]) == 6


def test_a_collector_that_is_not_there_costs_its_spans_alone(
    cluster: FakeCluster, start: Start, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    run_through(cluster, start(NOWHERE))
    wait_for("the end of trying", lambda: outcomes.counts, timeout=10)
    assert outcomes.counts == {"dropped": 4}
    (body,) = cluster.all(PIPELINES)
    assert [run["state"] for run in body["status"]["runs"]] == ["success"]


def test_the_last_spans_go_before_the_operator_does(
    cluster: FakeCluster, clock: FakeClock, reporter: Reporter, collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    sending = settings(tracing={"endpoint": collector.endpoint})
    exporter = TraceExporter(lambda: sending, clock, outcomes)
    run_through(cluster, Reconciling(cluster, lambda: sending, clock, reporter, observers=[exporter]))
    exporter.close()
    assert outcomes.counts == {"sent": 4}


def test_an_operator_ends_in_time_despite_a_silent_collector(
    cluster: FakeCluster, clock: FakeClock, reporter: Reporter, collector: Collector, outcomes: Outcomes
) -> None:
    cluster.put(PIPELINES, manifest())
    collector.answers.clear()
    sending = settings(tracing={"endpoint": collector.endpoint})
    exporter = TraceExporter(lambda: sending, clock, outcomes)
    run_through(cluster, Reconciling(cluster, lambda: sending, clock, reporter, observers=[exporter]))
    began = time.monotonic()
    exporter.close()
    assert time.monotonic() - began < 4


def test_what_became_of_spans_is_counted_from_nought() -> None:
    metrics = OperatorMetrics()
    value = metrics.registry.get_sample_value
    assert value("ingestion_operator_spans_total", {"outcome": "dropped"}) == 0
    metrics.count_spans("sent", 4)
    assert value("ingestion_operator_spans_total", {"outcome": "sent"}) == 4


@pytest.mark.parametrize("headers", ["authorization", "=abc", "authorization=a%0Ab", "x=ü"])
def test_headers_that_are_none_are_refused_without_being_shown(headers: str) -> None:
    with pytest.raises(OperatorError, match="OTEL_EXPORTER_OTLP_HEADERS is not of the form") as caught:
        TraceExporter(settings, FakeClock(), Outcomes(), headers)
    assert "abc" not in str(caught.value)
