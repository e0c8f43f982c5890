"""How many connections to the API server the operator keeps."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ingestion_operator.ports import PIPELINES
from ingestion_operator.runtime.workqueue import WORKERS
from testing.kubeconfigs import operator_for
from testing.objects import NAMESPACE, manifest

AT_ONCE = WORKERS + 1
"""All workers, and the thread that renews the Lease."""


def test_workers_and_lease_keep_their_connections_between_calls(tmp_path: Path) -> None:
    connections, all_callers = set[object](), threading.Barrier(AT_ONCE)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connections.add(self.client_address)
            all_callers.wait(20)  # none is answered before all have asked
            body = json.dumps(manifest()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(AT_ONCE) as callers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        operator = operator_for(f"http://127.0.0.1:{server.server_port}", tmp_path)
        for _ in range(2):
            list(callers.map(lambda number: operator._cluster.get(PIPELINES, NAMESPACE, f"p{number}"), range(AT_ONCE)))
        operator._api.rest_client.pool_manager.clear()
        server.shutdown()
    assert len(connections) == AT_ONCE
