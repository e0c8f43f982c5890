"""A real Prometheus scrapes both registries over HTTP: every query of the dashboard and of the rules is answered."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import yaml
from prometheus_client import make_wsgi_app

from ingestion_operator.constants import ANNOTATION_ADMITTED_AT
from ingestion_operator.controllers.metrics import OperatorMetrics
from ingestion_operator.gateway.metrics import Metrics
from ingestion_operator.ports import JOBS, PIPELINES, PODS
from ingestion_operator.refresh import PipelineKey, Refresher
from tests.support.fake_clock import FakeClock
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_logs import FakeLogs
from tests.support.fake_sink import FakeSink, reporter_over
from tests.support.objects import NAME, NAMESPACE, at, job, manifest, pod, settings
from tests.support.waiting import wait_for

FILES = Path(__file__).parents[2] / "charts" / "ingestion-operator" / "files"
PROMETHEUS = shutil.which("prometheus")
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
KEY = PipelineKey(NAMESPACE, NAME)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def at_work() -> OperatorMetrics:
    """What an operator counts of a pipeline whose run waited in the queue and succeeded."""
    metrics, clock = OperatorMetrics(), FakeClock()
    cluster = FakeCluster(clock)
    reporter = reporter_over(cluster, FakeSink(), settings, clock, FakeLogs())
    refresher = Refresher(cluster, settings, clock, reporter, observers=[metrics])
    look = metrics.timed(refresher.refresh)
    cluster.put(PIPELINES, manifest())
    body = job(condition="Complete")
    body["metadata"]["annotations"][ANNOTATION_ADMITTED_AT] = at(1)
    cluster.put(JOBS, body)
    cluster.put(PODS, pod(exit_code=0))
    look(KEY, [])
    cluster.fail("get", RuntimeError("a mistake"))
    with pytest.raises(RuntimeError):
        look(KEY, [])
    metrics.leader.set(1)
    metrics.watched("jobs")
    metrics.called("GET", "jobs", 200, 0.01)
    return metrics


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has scraped operator and gateway a few times."""
    assert PROMETHEUS is not None, "prometheus is missing: run python -m tests.cluster setup"
    folder, gateway = tmp_path_factory.mktemp("prometheus"), Metrics()
    gateway.requests.labels("trigger", "200").inc()
    gateway.seconds.labels("trigger").observe(0.1)
    servers = [
        make_server("127.0.0.1", 0, make_wsgi_app(registry), handler_class=_Quiet)
        for registry in (at_work().registry, gateway.registry)
    ]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    targets = [f"127.0.0.1:{server.server_port}" for server in servers]
    configuration = {
        "global": {"scrape_interval": "500ms"},
        "rule_files": [str(FILES / "rules.yaml")],
        "scrape_configs": [
            {
                "job_name": "ingestion",
                "honor_labels": True,
                "static_configs": [{"targets": targets, "labels": {"namespace": NAMESPACE}}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{free_port()}"
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *arguments, f"--web.listen-address={address}"], stderr=log)
    try:

        def has_scraped() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return len(ask(address, "count_over_time(up[1m]) >= 3")) == len(targets)
            except OSError:
                return False

        wait_for("Prometheus to have scraped", has_scraped, timeout=60)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        for server in servers:
            server.shutdown()
            server.server_close()


def ask(address: str, query: str) -> list[dict[str, Any]]:
    parameters = urllib.parse.urlencode({"query": query, "time": time.time()})
    with urllib.request.urlopen(f"http://{address}/api/v1/query?{parameters}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


def test_every_query_of_the_dashboard_is_answered(prometheus: str) -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    empty = [
        query
        for query in queries
        if not ask(prometheus, query.replace("$namespace", ".*").replace("$__rate_interval", "1m"))
    ]
    assert len(queries) > 30
    assert empty == []
