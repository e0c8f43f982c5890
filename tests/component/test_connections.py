"""How many connections to the API server the operator keeps."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from ingestion_operator.controllers.main import Operator
from ingestion_operator.controllers.queue import WORKERS

from ingestion_operator.ports import PIPELINES
from tests.support.objects import NAMESPACE, SETTINGS, manifest

AT_ONCE = WORKERS + 1
"""All workers, and whoever renews the Lease."""


def test_the_lease_and_all_workers_keep_their_connections_between_two_calls(tmp_path: Path) -> None:
    connections, everybody = set[object](), threading.Barrier(AT_ONCE)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connections.add(self.client_address)
            everybody.wait(20)  # nobody is answered before all have asked
            body = json.dumps(manifest()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    settings, kubeconfig = tmp_path / "settings.yaml", tmp_path / "kubeconfig"
    settings.write_text(yaml.safe_dump(SETTINGS))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(AT_ONCE) as callers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "current-context": "c",
                    "clusters": [cluster],
                    "contexts": [context],
                    "users": [{"name": "u", "user": {}}],
                }
            )
        )
        operator = Operator(settings, [NAMESPACE], str(kubeconfig))
        for _ in range(2):
            list(callers.map(lambda number: operator._cluster.get(PIPELINES, NAMESPACE, f"p{number}"), range(AT_ONCE)))
        operator._api.rest_client.pool_manager.clear()
        server.shutdown()
    assert len(connections) == AT_ONCE
