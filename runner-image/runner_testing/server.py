"""A real HTTP server that stores the rows of runs and records every request."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote


@dataclass(frozen=True)
class Request:
    """One request as it arrived; ``path`` is decoded, without the ``/api/v1`` in front, the names
    of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class RecordingServer:
    """Answers the calls of the runner on a free port of 127.0.0.1.

    ``rows`` maps a run id to its row, ``services`` a name to its entity, ``workflows`` an automation's id to it,
    ``definitions`` a name to the definition of a connection test; ``faults`` are (method, status)
    pairs, each spent on the first request of that method; ``on_request`` is called before an answer is given.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[tuple[str, int]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    unknown_run_status: int = 204
    on_request: Callable[[Request], None] = lambda _: None

    def __enter__(self) -> Self:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder._answer(self)

            def do_PUT(self) -> None:
                recorder._answer(self)

            def do_PATCH(self) -> None:
                recorder._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def host_port(self) -> str:
        """What the run input calls ``server.hostPort``."""
        return f"http://127.0.0.1:{self._http.server_port}/api"

    def requested(self, method: str) -> list[str]:
        """The paths requested with a method, in order."""
        return [request.path for request in self.requests if request.method == method]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        request = Request(
            method=handler.command,
            path=unquote(handler.path.removeprefix("/api/v1")),
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=json.loads(raw) if raw else None,
        )
        self.requests.append(request)
        self.on_request(request)
        status, answer = self._reaction(request)
        encoded = b"" if answer is None else json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(encoded)))
        handler.end_headers()
        handler.wfile.write(encoded)

    def _reaction(self, request: Request) -> tuple[int, Any]:
        for fault in self.faults:
            if fault[0] == request.method:
                self.faults.remove(fault)
                return fault[1], {"code": fault[1], "message": "as ordered"}
        last = request.path.rpartition("/")[2]
        if request.method == "PUT" and last == "pipelineStatus":
            self.rows[request.body["runId"]] = request.body
            return 200, request.body
        if "/pipelineStatus/" in request.path:
            row = self.rows.get(last)
            return (200, row) if row else (self.unknown_run_status, None)
        if request.method == "PATCH":
            return self._patched(last, request)
        found = self.workflows.get(last) or self.definitions.get(last) or self.services.get(last)
        return (200, found) if found else (404, {"code": 404, "message": f"{last} not found"})

    def _patched(self, workflow_id: str, request: Request) -> tuple[int, Any]:
        """A JSON Patch of whole fields."""
        if request.headers["content-type"] != "application/json-patch+json":
            return 415, {"code": 415, "message": "a PATCH is a JSON Patch"}
        changed = {operation["path"].removeprefix("/"): operation["value"] for operation in request.body}
        self.workflows[workflow_id] |= changed
        return 200, self.workflows[workflow_id]
