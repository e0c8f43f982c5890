"""A real Prometheus, of Debian's package, and what the chart's dashboard and rules ask of it."""

import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from testcluster.commands import environment
from testing.helm import CHART
from testing.waiting import wait_for

RULES = CHART / "files" / "rules.yaml"
DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())

_STEP_SECONDS = 5
_DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}


def dashboard_queries(namespace: str) -> list[str]:
    """What the panels of the dashboard ask, with their variables filled in: `namespace` is a regular expression."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return [query.replace("$namespace", namespace).replace("$__rate_interval", "1m") for query in queries]


class Prometheus:
    """A server at an address on this machine."""

    def __init__(self, address: str) -> None:
        self._root = f"http://{address}"
        self._opener = build_opener(ProxyHandler({}))
        self._start = time.time()

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that answer a query now."""
        return list(self._get("query", query=query)["result"])

    def would_be_drawn(self, query: str) -> bool:
        """Whether a panel over the server's whole life has a point to show."""
        times = {"start": self._start, "end": time.time(), "step": _STEP_SECONDS}
        found = self._get("query_range", query=query, **times)["result"]
        return any(not math.isnan(float(value)) for series in found for _, value in series["values"])

    def rules(self) -> dict[str, str]:
        """Each alert that is evaluated, with the error of its last evaluation or an empty text."""
        groups = self._get("rules")["groups"]
        return {rule["name"]: rule.get("lastError", "") for group in groups for rule in group["rules"]}

    def _get(self, endpoint: str, **parameters: Any) -> dict[str, Any]:
        with self._opener.open(f"{self._root}/api/v1/{endpoint}?{urlencode(parameters)}", timeout=10) as answer:
            return dict(json.load(answer)["data"])


@contextmanager
def running(folder: Path, scrape: dict[str, Any], *, seconds: float) -> Iterator[Prometheus]:
    """A server with the chart's rules that scrapes one configuration each so many `seconds`."""
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is missing: run python -m testcluster setup"
    interval = f"{round(seconds * 1000)}ms"
    configuration = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "ingestion", "honor_labels": True, **scrape}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    address = f"127.0.0.1:{_free_port()}"
    files = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *files, f"--web.listen-address={address}"], env=environment(_DIRECT), stderr=log
        )
    try:
        server = Prometheus(address)

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return bool(server.ask("vector(1)"))
            except OSError:
                return False

        wait_for("Prometheus to answer", answers, timeout=60)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
