"""Who is let in."""

import hmac
import http.client
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion_operator.errors import Rejected
from ingestion_operator.gateway.credentials import Credentials
from ingestion_operator.gateway.server import Gateway
from testing.gateway import Running, run_gateway, write_credentials
from testing.server_client import ServerClient, Unreachable
from tests.component.gateway.conftest import SettingsInForce
from tests.component.gateway.recording_service import RecordingService

ROOT = "/api/v1/openmetadata"
CLOSED = [
    ("GET", f"{ROOT}/health-auth"),
    ("GET", f"{ROOT}/csrf-token"),
    ("GET", f"{ROOT}/ip"),
    ("GET", f"{ROOT}/status?dag_id=a"),
    ("GET", f"{ROOT}/last_dag_logs?dag_id=a"),
    ("POST", f"{ROOT}/deploy"),
    ("POST", f"{ROOT}/trigger"),
    ("POST", f"{ROOT}/enable"),
    ("POST", f"{ROOT}/disable"),
    ("POST", f"{ROOT}/kill"),
    ("DELETE", f"{ROOT}/delete?dag_id=a"),
    ("POST", f"{ROOT}/run_automation"),
    ("POST", f"{ROOT}/health"),
    ("GET", f"{ROOT}/health/../deploy"),
    ("GET", f"{ROOT}/nothing"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/metrics"),
    ("GET", "/livez"),
    ("GET", "/"),
]


def _code(port: int, method: str, path: str, authorization: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {} if authorization is None else {"Authorization": authorization}
    try:
        connection.request(method, path, b"{}" if method == "POST" else b"", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _basic(pair: bytes) -> str:
    return f"Basic {b64encode(pair).decode()}"


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_request_without_credentials_is_refused(
    running: Running, service: RecordingService, method: str, path: str
) -> None:
    assert _code(running.port, method, path) == 401
    assert not service.calls


@pytest.mark.parametrize("path", [f"{ROOT}/health", "/pluginsv2/api/v2/openmetadata/health", f"/{ROOT}//health"])
def test_health_needs_no_credentials(running: Running, path: str) -> None:
    assert _code(running.port, "GET", path) == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRtaW46c2VjcmV0IQ",
        "Bearer YWRtaW46c2VjcmV0",
        "admin:secret",
        _basic(b""),
        _basic(b":"),
        _basic(b"admin"),
        _basic(b"admin:"),
        _basic(b"admin:Secret"),
        _basic(b"admin:secret "),
        _basic(b"admin:secret\n"),
        _basic(b"secret:admin"),
        _basic(b"adm:insecret"),
        _basic("admin:gehëim".encode()),
        _basic(b"\xff\xfe:\x00"),
    ],
)
def test_wrong_credentials_are_refused(running: Running, authorization: str) -> None:
    assert _code(running.port, "GET", f"{ROOT}/health-auth", authorization) == 401


@pytest.mark.parametrize("pair", [b"a:1", b"b:2", b"c:3", b"nobody:0", b""])
def test_every_pair_is_compared_whichever_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: bytes) -> None:
    credentials = Credentials(write_credentials(tmp_path / "c", a=("a", "1"), b=("b", "2"), plain=("c", "3")))
    lengths = []
    compare = hmac.compare_digest

    def counted(mine: bytes, theirs: bytes) -> bool:
        lengths.append((len(mine), len(theirs)))
        return compare(mine, theirs)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    assert credentials.accept(_basic(pair).encode()) is (pair[:1] in (b"a", b"b", b"c"))
    assert lengths == [(32, 32)] * 3


def test_the_scheme_is_read_in_any_case(running: Running) -> None:
    assert _code(running.port, "GET", f"{ROOT}/health-auth", _basic(b"admin:secret").replace("Basic", "bASIC")) == 200


def test_a_refusal_names_the_scheme_and_nothing_else(running: Running) -> None:
    client = ServerClient.old(running.port, password="wrong")
    reply = client.read("health-auth")
    client.close()
    assert reply.headers["WWW-Authenticate"].startswith("Basic ")
    assert reply.error == "The username or password is wrong."


def test_a_new_server_with_a_wrong_password_finds_no_root(running: Running) -> None:
    client = ServerClient.new(running.port, password="wrong")
    with pytest.raises(Unreachable):
        client.trigger("nightly")
    client.close()


def test_one_csrf_token_lasts_a_server_for_all_its_changes(new_server: ServerClient) -> None:
    for _ in range(3):
        new_server.trigger("nightly")
        new_server.delete("nightly")
    assert [path for method, path in new_server.requests if path.endswith("csrf-token")] == [
        "/pluginsv2/api/v2/openmetadata/csrf-token"
    ]


def test_the_csrf_token_comes_without_a_cookie(new_server: ServerClient) -> None:
    reply = new_server.read("csrf-token")
    assert set(reply.json) == {"csrf_token", "message"}
    assert reply.json["csrf_token"]
    assert "Set-Cookie" not in reply.headers


def test_a_change_needs_no_csrf_token(old_server: ServerClient) -> None:
    assert old_server.trigger("nightly").code == 200


def test_a_refused_request_is_not_sent_twice(new_server: ServerClient, service: RecordingService) -> None:
    reply = new_server.send("POST", f"{new_server.root}/enable", body={"dag_id": ["CSRF token"]})
    assert reply.code == 400
    service.answers["toggle_ingestion"] = Rejected("Refused", "pipeline 'CSRF token' and csrf  Token are refused")
    assert new_server.enable("CSRF token").code == 400
    assert [method for method, _ in service.calls] == ["toggle_ingestion"]


class TestRotation:
    """The Secret changes while the gateway runs."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return write_credentials(tmp_path / "credentials", old=("admin", "first"))

    @pytest.fixture
    def port(self, folder: Path, settings: SettingsInForce) -> Iterator[int]:
        with run_gateway(Gateway(RecordingService(), settings.current, Credentials(folder))) as running:
            yield running.port

    def _is_in(self, port: int, pair: bytes) -> bool:
        return _code(port, "GET", f"{ROOT}/health-auth", _basic(pair)) == 200

    def test_one_password_is_valid_at_any_moment_of_a_change(self, port: int, folder: Path) -> None:
        assert self._is_in(port, b"admin:first")
        write_credentials(folder, new=("admin", "second"))
        assert self._is_in(port, b"admin:first")
        assert self._is_in(port, b"admin:second")
        for file in folder.glob("old.*"):
            file.unlink()
        assert not self._is_in(port, b"admin:first")
        assert self._is_in(port, b"admin:second")

    def test_a_broken_pair_leaves_the_others_in_force(self, port: int, folder: Path) -> None:
        write_credentials(folder, colon=("a:b", "c"), empty=("", ""))
        (folder / "alone.username").write_text("alone")
        assert self._is_in(port, b"admin:first")
        for pair in (b"a:b:c", b":", b"alone:"):
            assert not self._is_in(port, pair)

    def test_a_secret_without_a_pair_admits_no_client(self, port: int, folder: Path) -> None:
        for file in folder.iterdir():
            file.unlink()
        assert not self._is_in(port, b"admin:first")
        assert not self._is_in(port, b":")

    def test_a_folder_that_cannot_be_read_changes_nothing(self, port: int, folder: Path) -> None:
        folder.rename(folder.with_name("elsewhere"))
        assert self._is_in(port, b"admin:first")
