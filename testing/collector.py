"""A collector of traces: takes OTLP over HTTP in JSON, keeps the spans, and misbehaves on demand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

Span = dict[str, Any]


class Collector:
    """Listens on 127.0.0.1."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        """The answers to the next requests; 200 after the last of them."""
        self.answers: Final = threading.Event()
        """Requests wait until it is set."""
        self.answers.set()
        self.bodies: list[dict[str, Any]] = []
        """What was taken."""
        self.headers: list[dict[str, str]] = []
        """Of each request, by names in lower case."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.answers.wait(30)
                code = collector.codes.pop(0) if collector.codes else 200
                if self.path != "/v1/traces":
                    code = 404
                if code == 200:
                    collector.bodies.append(json.loads(body))
                try:
                    self.send_response(code)
                    self.end_headers()
                except OSError:
                    return  # the operator has left, which is what a test is about

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for body in self.bodies
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def start_collector() -> Iterator[Collector]:
    """Run one until the block ends."""
    collector = Collector()
    thread = threading.Thread(target=collector.serve, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.close()
        thread.join()
