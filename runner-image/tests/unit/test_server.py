import socket
import ssl
from collections.abc import Iterator

import pytest

from ingestion_runner.inputs import Server
from ingestion_runner.outcomes import ConfigurationError, Reason
from ingestion_runner.server import ServerCallError, ServerClient, _tls_context
from runner_testing.server import RecordingServer


def client(server: RecordingServer, **settings: object) -> ServerClient:
    return ServerClient(Server(host_port=server.host_port, **settings), "the-token")  # type: ignore[arg-type]


def test_client_sends_the_token_and_the_extra_headers(server: RecordingServer) -> None:
    headers = {"X-Team": "data", "Proxy-Authorization": "%(Authorization)s"}
    server.services["shop"] = {"serviceType": "Postgres"}

    client(server, extra_headers=headers).get("services", "databaseServices", "name", "shop", timeout=5)

    sent = server.requests[0].headers
    assert sent["authorization"] == "Bearer the-token"
    assert sent["x-team"] == "data"
    assert sent["proxy-authorization"] == "Bearer the-token"


def test_client_quotes_names_in_paths(server: RecordingServer) -> None:
    server.services['y" z'] = {"serviceType": "Postgres"}

    client(server).get("services", 'x/y" z', timeout=5)

    assert server.requests[0].path == '/services/x/y" z'


@pytest.mark.parametrize(
    ("status", "reason", "transient"),
    [
        (401, Reason.UNAUTHORIZED, False),
        (403, Reason.FORBIDDEN, False),
        (400, Reason.SERVER_ERROR, False),
        (302, Reason.SERVER_ERROR, False),
        (429, Reason.SERVER_ERROR, True),
        (503, Reason.SERVER_ERROR, True),
    ],
)
def test_client_distinguishes_refusals(
    server: RecordingServer, *, status: int, reason: Reason, transient: bool
) -> None:
    server.faults = [("GET", status)]

    with pytest.raises(ServerCallError) as refused:
        client(server).get("system", "version", timeout=5)

    assert (refused.value.reason, refused.value.status, refused.value.transient) == (
        reason,
        status,
        transient,
    )
    assert "as ordered" in refused.value.message


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_client_reports_a_closed_port(closed_port: int) -> None:
    with pytest.raises(ServerCallError, match="Connection refused") as failed:
        ServerClient(Server(host_port=f"http://127.0.0.1:{closed_port}/api"), None).get("system", timeout=1)

    assert failed.value.reason is Reason.SERVER_UNREACHABLE
    assert failed.value.transient


def test_client_does_not_wait_longer_than_its_bound() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host_port = f"http://127.0.0.1:{silent.getsockname()[1]}/api"

        with pytest.raises(ServerCallError, match="timed out") as failed:
            ServerClient(Server(host_port=host_port), None).get("system", timeout=0.2)

    assert failed.value.transient


def test_client_reports_a_certificate_that_cannot_be_read() -> None:
    server = Server(host_port="https://om/api", verify_ssl="validate", ca_certificate="/nowhere/ca.pem")

    with pytest.raises(ConfigurationError, match=r"/nowhere/ca\.pem"):
        ServerClient(server, None)


def test_client_reports_a_malformed_extra_header(server: RecordingServer) -> None:
    with pytest.raises(ConfigurationError, match="placeholder"):
        client(server, extra_headers={"X": "100%"})


@pytest.mark.parametrize(
    ("verify_ssl", "mode"),
    [("ignore", ssl.CERT_NONE), ("no-ssl", ssl.CERT_REQUIRED), ("validate", ssl.CERT_REQUIRED)],
)
def test_client_verifies_certificates_by_default(verify_ssl: str, mode: ssl.VerifyMode) -> None:
    assert _tls_context(Server(host_port="https://om/api", verify_ssl=verify_ssl)).verify_mode is mode
