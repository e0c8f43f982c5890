"""Rows read and written over real HTTP: a server that checks them with OpenMetadata's own models, and worse ones."""

import ssl
import time
from typing import Any
from uuid import uuid4

import pytest
import trustme

from ingestion_operator.adapters.openmetadata.status_sink import OpenMetadataStatusSink
from ingestion_operator.errors import ClusterError, Forbidden, Invalid, NotFound, Unavailable
from ingestion_operator.ports import ServerAccess
from testing.fake_openmetadata_client import FakeServerClient
from testing.raw_server import raw_server
from tests.component.fake_openmetadata.api import Api
from tests.component.openmetadata.conftest import TOKEN

NAME = "shop.nightly"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def row(**more: Any) -> dict[str, Any]:
    return {"runId": str(uuid4()), "pipelineState": "failed", "timestamp": 1, "startDate": 1, "endDate": 2} | more


def access(fake_server: FakeServerClient, token: str | None = TOKEN) -> ServerAccess:
    return ServerAccess(fake_server.host_port, "no-ssl", token)


def at(port: int, scheme: str = "http", **more: Any) -> ServerAccess:
    return ServerAccess(f"{scheme}://127.0.0.1:{port}/api", more.pop("verify_ssl", "no-ssl"), more.pop("token", TOKEN))


@pytest.fixture
def sink() -> OpenMetadataStatusSink:
    return OpenMetadataStatusSink(response_seconds=1.0)


def test_a_row_is_written_and_read_again(fake_server: FakeServerClient, sink: OpenMetadataStatusSink) -> None:
    wanted = row()
    sink.write(access(fake_server), NAME, wanted)
    assert sink.read(access(fake_server), NAME, wanted["runId"]) == wanted
    assert [call["headers"]["user-agent"] for call in fake_server.calls()] == ["ingestion-operator"] * 2


def test_a_run_that_the_server_does_not_know_has_no_row(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink
) -> None:
    assert sink.read(access(fake_server), NAME, str(uuid4())) is None
    fake_server.set_faults({"method": "GET", "status": 404})
    assert sink.read(access(fake_server), NAME, str(uuid4())) is None


@pytest.mark.parametrize(
    ("service", "name", "fqn"),
    [
        ("shop", "nightly.v2", 'shop."nightly.v2"'),
        ("Größe.北", "nächtlich 🌙/?#%25", '"Größe.北".nächtlich 🌙/?#%25'),
        ('a "quoted" one', "n", '"a \\"quoted\\" one".n'),
    ],
)
def test_any_name_reaches_its_own_pipeline(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink, service: str, name: str, fqn: str
) -> None:
    made = fake_server.register_service(service, "Postgres")
    pipeline = {
        "name": name,
        "pipelineType": "metadata",
        "service": {"id": made["id"], "type": "databaseService"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
        "airflowConfig": {},
    }
    _, created = Api(fake_server).call("PUT", "/services/ingestionPipelines", pipeline)
    assert created["fullyQualifiedName"] == fqn
    wanted = row()
    sink.write(access(fake_server), fqn, wanted)
    assert sink.read(access(fake_server), fqn, wanted["runId"]) == wanted
    assert [run["fqn"] for run in fake_server.runs()] == [fqn]


def test_a_row_of_an_unknown_pipeline_is_not_found(fake_server: FakeServerClient, sink: OpenMetadataStatusSink) -> None:
    with pytest.raises(NotFound, match=r"shop\.other not found"):
        sink.write(access(fake_server), "shop.other", row())


def test_a_row_that_does_not_fit_the_servers_model_is_invalid(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink
) -> None:
    with pytest.raises(Invalid):
        sink.write(access(fake_server), NAME, row(extra=1))
    assert len(fake_server.calls(invalid=True)) == 1


@pytest.mark.parametrize("token", ["wrong", None])
def test_a_wrong_or_missing_token_is_forbidden_and_not_named(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink, token: str | None
) -> None:
    with pytest.raises(Forbidden) as refused:
        sink.read(access(fake_server, token), NAME, "r")
    assert refused.value.code == 401
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Invalid),
        (403, Forbidden),
        (404, NotFound),
        (408, Unavailable),
        (413, Invalid),
        (422, Invalid),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (0, Unavailable),
    ],
)
def test_an_answer_decides_who_has_to_act(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink, status: int, error: type[ClusterError]
) -> None:
    fake_server.set_faults({"method": "PUT", "path": "pipelineStatus", "status": status, "message": f"echo {TOKEN}"})
    with pytest.raises(error) as raised:
        sink.write(access(fake_server), NAME, row())
    assert type(raised.value) is error
    assert raised.value.code == status
    assert TOKEN not in str(raised.value)
    assert len(fake_server.calls(method="PUT")) == 1


def test_a_connection_that_was_cut_does_no_harm_to_the_next_call(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink
) -> None:
    wanted = row()
    fake_server.set_faults({"path": "pipelineStatus", "status": 0, "times": 1})
    with pytest.raises(Unavailable):
        sink.write(access(fake_server), NAME, wanted)
    sink.write(access(fake_server), NAME, wanted)
    assert fake_server.runs(NAME)[0]["writes"] == 1


def test_a_call_to_a_slow_server_times_out(fake_server: FakeServerClient, sink: OpenMetadataStatusSink) -> None:
    fake_server.set_faults({"path": "pipelineStatus", "delaySeconds": 3})
    began = time.monotonic()
    with pytest.raises(Unavailable):
        sink.read(access(fake_server), NAME, "r")
    assert time.monotonic() - began < 2.5


def test_a_server_that_is_not_there_is_unavailable(sink: OpenMetadataStatusSink) -> None:
    with raw_server() as gone:
        port = gone.port
    with pytest.raises(Unavailable):
        sink.read(at(port), NAME, "r")


@pytest.mark.parametrize(
    "pieces",
    [
        [OK + b"Content-Length: 6\r\n\r\n<html>"],
        [OK + b"Content-Length: 2\r\n\r\n[]"],
        [OK + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000],
        [OK + b"Content-Length: 100\r\n\r\n{}"],
        [OK + b"Content-Length: 5000000\r\n\r\n", b" " * 5_000_000],
        [OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense"],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"],
        [b"not HTTP at all"],
        [b""],
    ],
    ids=["page", "list", "nested", "half", "endless", "broken", "404 of a proxy", "not HTTP", "nothing"],
)
def test_an_answer_of_another_program_is_unavailable(sink: OpenMetadataStatusSink, pieces: list[bytes]) -> None:
    with raw_server(*pieces) as server, pytest.raises(Unavailable):
        sink.read(at(server.port), NAME, "r")
    assert len(server.requests) == 1


def test_a_redirect_does_not_carry_the_token_to_another_server(sink: OpenMetadataStatusSink) -> None:
    with raw_server(OK + b"Content-Length: 2\r\n\r\n{}") as other:
        head = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
        with raw_server(head.encode()) as server, pytest.raises(Unavailable, match="307"):
            sink.read(at(server.port), NAME, "r")
    assert other.requests == []


def test_an_answer_in_drips_times_out(sink: OpenMetadataStatusSink) -> None:
    drips = [OK + b"Content-Length: 100\r\n\r\n", *[b" "] * 100]
    began = time.monotonic()
    with raw_server(*drips, pause=0.2) as server, pytest.raises(Unavailable, match="too slowly"):
        sink.read(at(server.port), NAME, "r")
    assert time.monotonic() - began < 2.5


def test_a_web_page_in_place_of_the_api_is_not_taken_for_success(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink
) -> None:
    without_api = ServerAccess(fake_server.base_url, "no-ssl", TOKEN)
    with pytest.raises(Unavailable, match="/api at its end"):
        sink.write(without_api, NAME, row())


def test_proxies_of_the_environment_are_not_used(
    fake_server: FakeServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert OpenMetadataStatusSink().read(access(fake_server), NAME, str(uuid4())) is None


@pytest.fixture(scope="module")
def stranger() -> ssl.SSLContext:
    """A certificate for the right name, from an unknown authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_is_checked_unless_the_spec_ignores_it(
    sink: OpenMetadataStatusSink, stranger: ssl.SSLContext
) -> None:
    with raw_server(OK + b"Content-Length: 2\r\n\r\n{}", tls=stranger) as server:
        for verification in ("validate", "no-ssl"):
            with pytest.raises(Unavailable, match="certificate verify failed"):
                sink.read(at(server.port, "https", verify_ssl=verification), NAME, "r")
        assert server.requests == []
        assert sink.read(at(server.port, "https", verify_ssl="ignore"), NAME, "r") == {}


def test_the_version_is_asked_for_without_the_token(
    fake_server: FakeServerClient, sink: OpenMetadataStatusSink
) -> None:
    fake_server.set_version("1.13.6")
    try:
        assert sink.version(access(fake_server)) == "1.13.6"
    finally:
        fake_server.reset()


def test_a_server_may_have_no_version(sink: OpenMetadataStatusSink) -> None:
    with raw_server(OK + b'Content-Length: 14\r\n\r\n{"version": 2}') as server:
        assert sink.version(at(server.port)) is None
