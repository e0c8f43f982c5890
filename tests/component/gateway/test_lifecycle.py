"""Time bounds, the second port, the access log, and an orderly end."""

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion_operator.api.service import ServiceStatus
from ingestion_operator.errors import OperatorError, Unavailable
from ingestion_operator.gateway import write_endpoints
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.paths import ENDPOINTS
from ingestion_operator.gateway.server import Gateway, listen
from ingestion_operator.runtime.json_logging import JsonLines
from testing.gateway import Running, run_gateway
from testing.server_client import Reply, ServerClient
from testing.waiting import wait_for
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import VERSION, RecordingService

SECRET = "s3cr3t-value"


@pytest.fixture
def own(service: RecordingService, settings: SettingsInForce, credentials_folder: Path) -> Iterator[Running]:
    """A gateway for this test alone, which may end it."""
    with run_gateway(Gateway(service, settings.current, Credentials(credentials_folder))) as running:
        yield running


def _manage(running: Running, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", running.management_port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Aside(threading.Thread):
    """A call in a thread."""

    def __init__(self, client: ServerClient, name: str) -> None:
        super().__init__()
        self._call = (client, name)
        self.reply: Reply | None = None
        self.start()

    def run(self) -> None:
        client, name = self._call
        self.reply = client.kill(name)
        client.close()

    def result(self) -> Reply:
        self.join(30)
        assert self.reply is not None
        return self.reply


class TestBounds:
    def test_a_call_that_takes_too_long_is_a_503_and_continues(
        self,
        old_server: ServerClient,
        service: RecordingService,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(write_endpoints, "WRITE_SECONDS", 0.3)
        service.gates["kill_ingestion"] = gate = threading.Event()
        begin = time.monotonic()
        assert old_server.kill("nightly").code == 503
        assert time.monotonic() - begin < 5
        with caplog.at_level(logging.WARNING):
            gate.set()
            wait_for(
                "the call to end", lambda: "exceeded its time limit has ended: it succeeded" in caplog.text, timeout=5
            )

    def test_health_answers_while_every_thread_waits(self, own: Running, service: RecordingService) -> None:
        service.gates["kill_ingestion"] = gate = threading.Event()
        waiting = [Aside(ServerClient.old(own.port), f"p{number}") for number in range(40)]
        wait_for("all threads to be taken", lambda: len(service.calls) == 32, timeout=20)
        client = ServerClient.old(own.port)
        begin = time.monotonic()
        assert client.read("health-auth").code == 200
        assert _manage(own, "/livez") == _manage(own, "/readyz") == (200, "ok")
        assert time.monotonic() - begin < 1
        client.close()
        gate.set()
        assert [call.result().code for call in waiting] == [200] * 40

    def test_an_answer_is_sent_without_delay(self) -> None:
        with (
            listen(0) as listener,
            socket.create_connection(("127.0.0.1", listener.getsockname()[1])),
            listener.accept()[0] as connection,
        ):
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def test_a_port_that_is_taken_is_named(self) -> None:
        with listen(0) as listener, pytest.raises(OperatorError, match=f"port {listener.getsockname()[1]} cannot"):
            listen(listener.getsockname()[1])


class TestEnd:
    def test_what_was_accepted_is_finished_and_nothing_new_is_taken(
        self, own: Running, service: RecordingService
    ) -> None:
        service.gates["kill_ingestion"] = gate = threading.Event()
        call = Aside(ServerClient.old(own.port), "nightly")
        wait_for("the call to arrive", lambda: service.calls, timeout=5)
        own.begin_end()
        wait_for("the gateway to be not ready", lambda: _manage(own, "/readyz")[0] == 503, timeout=5)
        wait_for("the port to close", lambda: _is_refused(own.port), timeout=5)
        assert _manage(own, "/livez")[0] == 200
        gate.set()
        assert call.result().message == "killed"
        own.thread.join(10)
        assert not own.thread.is_alive()

    def test_an_idle_connection_does_not_hold_up_the_end(self, own: Running) -> None:
        client = ServerClient.old(own.port)
        client.read("health-auth")
        begin = time.monotonic()
        own.begin_end()
        own.thread.join(10)
        assert not own.thread.is_alive()
        assert time.monotonic() - begin < 3
        client.close()


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestSecondPort:
    def test_metrics_count_requests_by_endpoint_and_code(self, own: Running) -> None:
        client = ServerClient.old(own.port)
        client.kill("nightly")
        client.kill("")
        client.send("GET", "/some/path")
        client.close()
        last = 'ingestion_gateway_request_seconds_count{endpoint="other"} 1.0'
        wait_for("the last request to be counted", lambda: last in _manage(own, "/metrics")[1], timeout=5)
        code, text = _manage(own, "/metrics")
        assert code == 200
        assert 'ingestion_gateway_requests_total{code="200",endpoint="kill"} 1.0' in text
        assert 'ingestion_gateway_requests_total{code="400",endpoint="kill"} 1.0' in text
        assert 'ingestion_gateway_requests_total{code="404",endpoint="other"} 1.0' in text
        assert 'ingestion_gateway_request_seconds_count{endpoint="kill"} 2.0' in text
        assert "some/path" not in text

    def test_errors_are_counted_from_zero(self, own: Running) -> None:
        _, text = _manage(own, "/metrics")
        for endpoint in ENDPOINTS:
            assert f'ingestion_gateway_requests_total{{code="503",endpoint="{endpoint}"}} 0.0' in text

    def test_status_names_what_is_missing(self, own: Running, service: RecordingService) -> None:
        code, text = _manage(own, "/status")
        assert (code, json.loads(text)) == (200, {"healthy": True, "version": VERSION, "problems": []})
        service.answers["get_service_status"] = ServiceStatus(healthy=False, version=VERSION, problems=["no operator"])
        code, text = _manage(own, "/status")
        assert (code, json.loads(text)["problems"]) == (503, ["no operator"])

    def test_probes_ask_nothing_of_the_service(self, own: Running, service: RecordingService) -> None:
        for path in ("/livez", "/readyz", "/metrics"):
            assert _manage(own, path)[0] == 200
        assert not service.calls

    @pytest.mark.parametrize("path", ["/api/v1/openmetadata/health", "/docs"])
    def test_nothing_of_the_first_port_is_on_the_second(self, own: Running, path: str) -> None:
        assert _manage(own, path)[0] == 404


class _Lines(logging.Handler):
    """Log lines as they would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(JsonLines().format(record))

    def of_requests(self, *replies: Reply) -> list[dict[str, Any]]:
        """The lines of these requests, in their order; written a moment after each answer."""

        def found() -> dict[str, dict[str, Any]] | None:
            lines = [json.loads(text) for text in list(self.texts)]
            own = {line["requestId"]: line for line in lines if line["message"] == "Request"}
            return own if wanted <= own.keys() else None

        wanted = {reply.headers["X-Request-Id"] for reply in replies}
        complete = wait_for("the lines of the requests", found, timeout=5)
        return [complete[reply.headers["X-Request-Id"]] for reply in replies]


class TestAccessLog:
    @pytest.fixture
    def lines(self) -> Iterator[_Lines]:
        handler, root = _Lines(), logging.getLogger()
        before = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        yield handler
        root.removeHandler(handler)
        root.setLevel(before)

    def test_a_request_is_one_line_of_json(self, old_server: ServerClient, lines: _Lines) -> None:
        (line,) = lines.of_requests(old_server.trigger("nightly"))
        assert line["method"] == "POST"
        assert line["path"] == "/api/v1/openmetadata/trigger"
        assert line["code"] == 200
        assert line["seconds"] >= 0
        assert line["client"] == "127.0.0.1"

    def test_a_line_from_a_worker_thread_has_the_requests_id(
        self, old_server: ServerClient, service: RecordingService, lines: _Lines
    ) -> None:
        service.answers["kill_ingestion"] = Unavailable("away", code=503)
        reply = old_server.kill("nightly")
        found = [json.loads(text) for text in lines.texts if "is unavailable: away" in text]
        assert [line["requestId"] for line in found] == [reply.headers["X-Request-Id"]]

    def test_health_is_not_logged(self, old_server: ServerClient, lines: _Lines) -> None:
        found = lines.of_requests(old_server.read("health"), old_server.read("health-auth"))
        assert [line["level"] for line in found] == ["DEBUG", "INFO"]

    def test_nothing_secret_is_in_the_log(self, running: Running, lines: _Lines) -> None:
        stranger, client = ServerClient.old(running.port, password=SECRET), ServerClient.old(running.port)
        connection = {"securityConfig": {"jwtToken": SECRET}}
        conf = {"appConfigOverride": {"a": SECRET}, "x": SECRET}
        status = f"{client.root}/status"
        lines.of_requests(
            stranger.deploy({"name": "nightly", "token": SECRET}),
            client.deploy({"name": "nightly", "openMetadataServerConnection": connection}),
            client.change("POST", "trigger", {"run_id": SECRET}, body={"dag_id": "a", "conf": conf}),
            client.queued(SECRET),
            client.send("GET", status, {"dag_id": "a", "token": SECRET}, headers={"X-Key": SECRET}),
        )
        stranger.close()
        client.close()
        assert [text for text in lines.texts if SECRET in text] == []

    def test_a_request_keeps_the_id_that_it_came_with(self, old_server: ServerClient) -> None:
        reply = old_server.send("GET", f"{old_server.root}/ip", headers={"X-Request-Id": "abc-1"})
        assert reply.headers["X-Request-Id"] == "abc-1"

    @pytest.mark.parametrize("bad", ["", "two words", "x" * 65, '{"a":1}', "é"])
    def test_an_id_that_could_forge_a_line_is_replaced(self, old_server: ServerClient, bad: str) -> None:
        reply = old_server.send("GET", f"{old_server.root}/ip", headers={"X-Request-Id": bad})
        assert len(reply.headers["X-Request-Id"]) == 32

    def test_a_refusal_has_an_id_too(self, running: Running) -> None:
        client = ServerClient.old(running.port, password="wrong")
        assert client.read("ip").headers["X-Request-Id"]
        client.close()

    def test_a_line_break_in_a_path_stays_inside_its_line(self, old_server: ServerClient) -> None:
        record = logging.LogRecord("x", logging.INFO, "", 0, "a\nb", None, None)
        record.fields = {"path": "/a\n{}"}
        assert "\n" not in JsonLines().format(record)
        assert old_server.send("GET", "/%0a%7b").code == 404
