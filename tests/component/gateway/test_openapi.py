"""The OpenAPI description, and a client that takes it at its word."""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from testing.gateway import Running
from testing.server_client import OLD_ROOTS, ServerClient

CONTRACT = {
    "health", "health-auth", "csrf-token", "ip", "deploy", "trigger", "enable", "disable", "kill", "delete", "status",
    "last_dag_logs", "run_automation", "run_application", "test_connection",
}  # fmt: skip


CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip


@pytest.mark.parametrize("endpoint", sorted(CONTRACT))
def test_every_described_request_has_a_described_answer(running: Running, endpoint: str) -> None:
    client = ServerClient.old(running.port)
    schema = schemathesis.openapi.from_dict(client.send("GET", "/openapi.json").json)
    client.close()
    (operation,) = schema[f"{OLD_ROOTS[0]}/{endpoint}"].values()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        response = case.call(base_url=f"http://127.0.0.1:{running.port}", auth=("admin", "secret"))
        case.validate_response(response, checks=CHECKS)
        assert response.status_code != 422

    check()


def test_the_description_has_the_whole_contract(
    old_server: ServerClient,
) -> None:
    document = old_server.send("GET", "/openapi.json").json
    assert {path.rpartition("/")[2] for path in document["paths"]} == CONTRACT
    for path in document["paths"].values():
        for operation in path.values():
            assert set(operation["responses"]) <= {"200", "400", "401", "404", "500", "503"}


def test_the_description_can_be_read_in_a_browser(old_server: ServerClient) -> None:
    reply = old_server.send("GET", "/docs")
    assert reply.code == 200
    assert reply.headers["Content-Type"].startswith("text/html")


def test_the_page_needs_nothing_from_another_host(old_server: ServerClient) -> None:
    page = old_server.send("GET", "/docs").body.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/")
        assert old_server.send("GET", address).code == 200
