"""A real Prometheus scrapes both registries over HTTP: every query of the dashboard and of the rules is answered."""

from collections.abc import Iterator
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from prometheus_client import make_wsgi_app

from ingestion_operator.constants import ANNOTATION_ADMITTED_AT
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_logs import FakeLogs
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, at, job, manifest, pod, settings
from testing.prometheus import Prometheus, dashboard_queries, running
from testing.reconciling import Reconciling
from testing.waiting import wait_for

KEY = PipelineKey(NAMESPACE, NAME)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


def at_work() -> OperatorMetrics:
    """What an operator counts of a pipeline whose run waited in the queue and succeeded."""
    metrics, clock = OperatorMetrics(), FakeClock()
    cluster = FakeCluster(clock)
    reporter = reporter_over(cluster, FakeSink(), settings, clock, FakeLogs())
    reconciling = Reconciling(cluster, settings, clock, reporter, observers=[metrics])
    reconcile = metrics.timed(reconciling.reconcile)
    cluster.put(PIPELINES, manifest())
    body = job(condition="Complete")
    body["metadata"]["annotations"][ANNOTATION_ADMITTED_AT] = at(1)
    cluster.put(JOBS, body)
    cluster.put(PODS, pod(exit_code=0))
    reconcile(KEY)
    cluster.put(PIPELINES, manifest(suspend=True))
    cluster.fail("apply", RuntimeError("a mistake"))
    with pytest.raises(RuntimeError):
        reconcile(KEY)
    metrics.set_leader(leads=True)
    metrics.follow_queue(lambda: 0, lambda: 0)
    metrics.follow_cache(lambda: {(JOBS, ""): 1.0})
    metrics.count_api_call("GET", "jobs", 200, 0.01)
    return metrics


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped operator and gateway a few times."""
    gateway = Metrics()
    gateway.requests.labels("trigger", "200").inc()
    gateway._watch_age.labels("jobs").set(1)
    gateway.seconds.labels("trigger").observe(0.1)
    servers = [
        make_server("127.0.0.1", 0, make_wsgi_app(registry), handler_class=_Quiet)
        for registry in (at_work().registry, gateway.registry)
    ]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    targets = [f"127.0.0.1:{server.server_port}" for server in servers]
    scrape = {"static_configs": [{"targets": targets, "labels": {"namespace": NAMESPACE}}]}
    try:
        with running(tmp_path_factory.mktemp("prometheus"), scrape, seconds=0.5) as found:
            wait_for(
                "Prometheus to have scraped",
                lambda: len(found.ask("count_over_time(up[1m]) >= 3")) == len(targets),
                timeout=60,
            )
            yield found
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_every_query_of_the_dashboard_is_answered(prometheus: Prometheus) -> None:
    queries = dashboard_queries(".*")
    assert len(queries) > 30
    assert [query for query in queries if not prometheus.ask(query)] == []
