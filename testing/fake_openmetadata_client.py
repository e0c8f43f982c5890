"""The tests' side of the fake OpenMetadata server: its control API, and starting it as a local process.

with start_fake_openmetadata(token="secret") as fake_server:
    fake_server.register_service("shop", "Postgres", connection)
    fake_server.register_pipeline("shop.nightly")
    ...                                   # run something against fake_server.host_port
    assert fake_server.runs("shop.nightly")[0]["terminalStates"] == ["success"]
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from testing.environments import Lock, python_of

SOURCE = Path(__file__).parent / "fake_openmetadata"
LOCK = SOURCE / "requirements.lock"
TERMINAL = frozenset({"success", "failed", "partialSuccess", "stopped"})
POLL_SECONDS = 0.2
START_SECONDS = 60.0

JsonObject = dict[str, Any]


class FakeServerError(Exception):
    """The fake server refused a call, or could not be started."""


class FakeServerClient:
    """Talks to a fake OpenMetadata server at `base_url`, such as `http://127.0.0.1:8585` (without /api)."""

    def __init__(self, base_url: str, *, timeout: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        # A proxy of the machine has no business between a test and its fake server.
        self._opener = build_opener(ProxyHandler({}))

    @property
    def host_port(self) -> str:
        """What OpenMetadata calls hostPort: where the API is."""
        return f"{self.base_url}/api"

    def health(self) -> JsonObject:
        return self._object("GET", "health")

    def calls(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        after: int = 0,
        invalid: bool = False,
        unknown: bool = False,
    ) -> list[JsonObject]:
        """The recorded calls, oldest first; `path` is a regular expression, `after` a call's number.

        `invalid`: only those whose body no model accepts; `unknown`: only those to a path the fake OpenMetadata server
        does not imitate. Keys: number, at (seconds since the epoch), seconds, method, path, query,
        headers, body, status (0: cut), invalid, unknown.
        """
        query = {"method": method, "path": path, "after": str(after) if after else None}
        query |= {"invalid": "true" if invalid else None, "unknown": "true" if unknown else None}
        return self._list("calls", query)

    def clear_calls(self) -> None:
        self._call("DELETE", "calls")

    def runs(self, fqn: str | None = None) -> list[JsonObject]:
        """The runs of one pipeline, or all, oldest first.

        Keys: fqn, runId, state, row, writes (how often it was written), terminalStates (in the order
        written), history ([{at, state, userAgent, row}]), progress, logs, logsClosed.
        """
        return self._list("runs", {"fqn": fqn})

    def wait_for_run(self, fqn: str, *, timeout: float, run_id: str | None = None) -> JsonObject:
        """The pipeline's newest run (or that one), once its state is terminal; raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            found = [run for run in self.runs(fqn) if run_id in (None, run["runId"])]
            if found and found[-1]["state"] in TERMINAL:
                return found[-1]
            if time.monotonic() > deadline:
                state = found[-1]["state"] if found else "never reported"
                raise TimeoutError(f"the run of {fqn} is {state} after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def entities(self, kind: str, *, deleted: bool = False) -> list[JsonObject]:
        """Stored entities by the name of their collection: tables, databaseSchemas, storedProcedures."""
        return self._list(f"entities/{kind}", {"include": "all" if deleted else None})

    def lineage(self) -> list[JsonObject]:
        """The edges written by PUT /lineage."""
        return self._list("lineage", {})

    def register_service(
        self,
        name: str,
        service_type: str,
        connection: Mapping[str, Any] | None = None,
        *,
        kind: str = "database",
    ) -> JsonObject:
        """Create or replace a service; `connection` is `{"config": {...}}`."""
        body: JsonObject = {"serviceType": service_type}
        if connection is not None:
            body["connection"] = dict(connection)
        return self._object("PUT", f"services/{kind}/{quote(name, safe='')}", body)

    def create(self, collection: str, body: Mapping[str, Any]) -> JsonObject:
        """Create or replace an entity by its create request, such as in `dataQuality/testCases`."""
        return self._object("PUT", f"entities/{collection}", dict(body))

    def register_pipeline(self, fqn: str, **fields: Any) -> JsonObject:
        """Create or replace an ingestion pipeline; its service must be registered.

        `fields` are those of a create request that differ from an on-demand metadata pipeline.
        """
        return self._object("PUT", f"pipelines/{quote(fqn, safe='')}", fields)

    def register_automation(self, name: str, request: Mapping[str, Any], **fields: Any) -> JsonObject:
        """Register an automation: Pending, without a response. Returns the entity, with its id.

        `request` is {connection: {config}, serviceType, connectionType}; `fields` are those of a create request
        that differ from a test of a connection.
        """
        return self._object("PUT", f"automations/{quote(name, safe='')}", {"request": dict(request), **fields})

    def automation(self, name_or_id: str) -> JsonObject:
        """What has become of an automation; of a deleted one by its id.

        Keys: id, name, status, response, deleted, history ([{at, status, response}], oldest first).
        """
        return self._object("GET", f"automations/{quote(name_or_id, safe='')}")

    def set_faults(self, *faults: Mapping[str, Any]) -> None:
        """Replace the faults: method, path (regex), status, times, delaySeconds, entity (regex), message.

        Without status a call is only delayed; status 0 cuts the connection; times None is for ever.
        With entity only the matching rows of bulk requests are refused.
        """
        self._call("PUT", "faults", list(faults))

    def faults(self) -> list[JsonObject]:
        """The faults in force, with the times they have left."""
        return self._list("faults", {})

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def set_version(self, version: str) -> None:
        """The server version it pretends to be, until the next reset."""
        self._call("PUT", "version", {"version": version})

    def reset(self) -> None:
        """Forget all services, pipelines, entities, runs, calls and faults."""
        self._call("DELETE", "state")

    def _object(self, method: str, path: str, body: Any = None) -> JsonObject:
        answer = self._call(method, path, body)
        if not isinstance(answer, dict):
            raise FakeServerError(f"{method} {path} answered {answer!r}")
        return answer

    def _list(self, path: str, query: Mapping[str, str | None]) -> list[JsonObject]:
        given = urlencode({key: value for key, value in query.items() if value is not None})
        answer = self._call("GET", f"{path}?{given}")
        if not isinstance(answer, list):
            raise FakeServerError(f"GET {path} answered {answer!r}")
        return answer

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = Request(  # noqa: S310  the base URL is the test's own
            f"{self.base_url}/_fake/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                content = response.read()
        except HTTPError as error:
            with error:
                raise FakeServerError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(content) if content else None


@contextmanager
def start_fake_openmetadata(
    *, token: str = "", version: str = "2.0.6", host: str = "127.0.0.1", port: int = 0
) -> Iterator[FakeServerClient]:
    """Run the fake OpenMetadata server from its own virtual environment until the block ends.

    Port 0 takes a free one. Raises FakeServerError when it does not start.
    """
    python = fake_openmetadata_python()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "DOUBLE_TOKEN": token, "DOUBLE_VERSION": version}
    with TemporaryDirectory(prefix="fake-openmetadata-") as directory:
        log = Path(directory, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, "-m", "fake_openmetadata_server", "--host", host, "--port", str(port)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            client = FakeServerClient(f"http://{host}:{_announced_port(process, log)}")
            client.health()
            yield client
        finally:
            process.terminate()
            process.wait()


def _announced_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port it prints once it listens."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith("fake OpenMetadata server on ") and line.endswith("\n"):
                return int(line.rpartition(":")[2])
        time.sleep(POLL_SECONDS / 4)
    raise FakeServerError(
        f"the fake OpenMetadata server did not start within {START_SECONDS:.0f} s:\n{log.read_text()}"
    )


def fake_openmetadata_python() -> Path:
    """The interpreter of the fake OpenMetadata server's environment, which is made on first use (some 10 seconds)."""
    # Without dependencies: the lock is complete for what the fake OpenMetadata server imports, see uv.toml.
    return python_of("fake-openmetadata", [Lock(LOCK, ("--no-deps",))])
