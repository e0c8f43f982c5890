"""Where a server finds the gateway, and how it talks on the wire."""

import pytest

from testing.gateway import Running
from testing.server_client import NEW_ROOTS, OLD_ROOTS, ServerClient
from tests.component.gateway.recording_service import RecordingService

ROOTS = (NEW_ROOTS[0], OLD_ROOTS[0])


def test_an_old_server_reaches_the_gateway_under_its_only_root(old_server: ServerClient) -> None:
    assert old_server.read("health-auth").code == 200


def test_a_new_server_finds_its_first_root_with_one_probe(new_server: ServerClient) -> None:
    assert new_server.root == "/pluginsv2/api/v2/openmetadata"
    assert new_server.requests == [("GET", "/pluginsv2/api/v2/openmetadata/health-auth")]


def test_the_root_that_a_new_server_only_guesses_is_not_there(new_server: ServerClient) -> None:
    assert new_server.send("GET", "/api/v2/openmetadata/health-auth").code == 404


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    ("method", "endpoint"),
    [
        ("GET", "health"),
        ("GET", "health-auth"),
        ("GET", "csrf-token"),
        ("GET", "ip"),
        ("POST", "deploy"),
        ("POST", "trigger"),
        ("POST", "enable"),
        ("POST", "disable"),
        ("POST", "kill"),
        ("DELETE", "delete"),
        ("GET", "status"),
        ("GET", "last_dag_logs"),
    ],
)
def test_an_endpoint_answers_200_under_both_roots(
    old_server: ServerClient, root: str, method: str, endpoint: str
) -> None:
    query = {"dag_id": "nightly"} if endpoint in ("delete", "status", "last_dag_logs") else None
    body = {"dag_id": "nightly", "name": "nightly"} if method == "POST" else None
    reply = old_server.send(method, f"{root}/{endpoint}", query, body=body)
    assert reply.code == 200
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["/", "//"])
def test_an_endpoint_address_that_ends_in_slashes_works(running: Running, service: RecordingService, path: str) -> None:
    for client in (ServerClient.old(running.port, path=path), ServerClient.new(running.port, path=path)):
        assert client.trigger("nightly").message == "accepted"
        client.close()
    assert [method for method, _ in service.calls] == ["run_pipeline"] * 2


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v1/openmetadata", 404),
        ("GET", "/api/v1/openmetadata/", 404),
        ("GET", "/api/v1/openmetadata/health-auth/", 404),
        ("GET", "/api/v1/openmetadata/nothing", 404),
        ("GET", "/api/v1/openmetadata/deploy", 405),
        ("POST", "/api/v1/openmetadata/delete", 405),
        ("PATCH", "/api/v1/openmetadata/trigger", 405),
    ],
)
def test_what_is_not_there_is_an_error_and_never_a_redirect(
    old_server: ServerClient, method: str, path: str, code: int
) -> None:
    reply = old_server.send(method, path)
    assert reply.code == code
    assert reply.error


def test_many_calls_share_one_connection(old_server: ServerClient) -> None:
    old_server.read("health-auth")
    port_before = old_server._connection.sock.getsockname()[1]
    for _ in range(20):
        assert old_server.trigger("nightly").code == 200
    assert old_server._connection.sock.getsockname()[1] == port_before


def test_the_content_type_of_a_body_does_not_matter(old_server: ServerClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "nonsense", ""):
        path = f"{old_server.root}/trigger"
        reply = old_server.send("POST", path, body={"dag_id": "a"}, headers={"Content-Type": content_type})
        assert reply.message == "accepted"
