"""What a server's calls become, and what it hears back."""

import http.client
import json
import uuid
from typing import Any

import pytest

from ingestion_operator.errors import Conflict, Forbidden, Invalid, NotFound, Rejected, StoreError, Unavailable
from testing.gateway import Running
from testing.server_client import Reply, ServerClient
from testing.waiting import wait_for
from tests.component.gateway.recording_service import RecordingService

RUN = "0d2b8f6e-7f0a-4f6d-9f1c-2f6f4a6f0b11"
ENTITY: dict[str, Any] = {
    "id": "8d0f1c52-0000-4000-8000-000000000001",
    "name": "4b1f7a86",
    "pipelineType": "metadata",
    "fullyQualifiedName": "mysql_shop.4b1f7a86",
    "sourceConfig": {"config": {"type": "DatabaseMetadata", "includeTables": True}},
    "airflowConfig": {
        "pausePipeline": False,
        "startDate": "2024-05-20T00:00:00.000000Z",
        "scheduleInterval": "0 2 * * *",
    },
    "aKeyOfALaterVersion": {"täglich": [1, 2.5, None, "x"]},
}

CHANGES = ["deploy", "trigger", "enable", "disable", "kill", "delete"]
METHODS = {
    "deploy": "deploy_pipeline",
    "trigger": "run_pipeline",
    "enable": "toggle_ingestion",
    "disable": "toggle_ingestion",
    "kill": "kill_ingestion",
    "delete": "delete_pipeline",
    "queued": "get_pipeline_status",
    "logs": "get_last_ingestion_logs",
}


def call(server: ServerClient, operation: str, name: str = "nightly") -> Reply:
    """Call one operation as a server does."""
    reply: Reply = getattr(server, operation)(ENTITY | {"name": name} if operation == "deploy" else name)
    return reply


def test_deploy_hands_over_the_whole_entity(server: ServerClient, service: RecordingService) -> None:
    assert server.deploy(ENTITY).message == "deployed"
    assert service.calls == [("deploy_pipeline", {"entity": ENTITY})]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("trigger", ("run_pipeline", {"name": "nightly"})),
        ("enable", ("toggle_ingestion", {"name": "nightly", "enabled": True})),
        ("disable", ("toggle_ingestion", {"name": "nightly", "enabled": False})),
        ("kill", ("kill_ingestion", {"name": "nightly"})),
        ("delete", ("delete_pipeline", {"name": "nightly"})),
        ("queued", ("get_pipeline_status", {"name": "nightly", "only_queued": True, "limit": 10})),
        ("logs", ("get_last_ingestion_logs", {"name": "nightly", "after": None})),
    ],
)
def test_a_call_reaches_the_service_once(
    server: ServerClient, service: RecordingService, operation: str, expected: Any
) -> None:
    assert call(server, operation).code == 200
    assert service.calls == [expected]


@pytest.mark.parametrize("operation", CHANGES)
def test_a_success_carries_the_services_words(server: ServerClient, operation: str) -> None:
    assert call(server, operation).message in ("deployed", "accepted", "set", "killed", "deleted")


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"pipelineRunId": RUN}, {"run_id": RUN}),
        ({"pipelineRunId": RUN.upper()}, {"run_id": RUN.upper()}),
        ({"pipelineRunId": None}, {}),
        ({"appConfigOverride": {"a": [1]}}, {"config_override": {"a": [1]}}),
        ({"sourceConfigOverride": {"b": {}}}, {"source_config_override": {"b": {}}}),
        ({"appConfigOverride": None, "sourceConfigOverride": None}, {}),
        (
            {"pipelineRunId": RUN, "appConfigOverride": {}, "sourceConfigOverride": {"c": 1}, "ofALaterVersion": 1},
            {"run_id": RUN, "config_override": {}, "source_config_override": {"c": 1}},
        ),
    ],
)
def test_trigger_passes_on_run_id_and_overrides(
    server: ServerClient, service: RecordingService, conf: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    assert server.trigger("nightly", conf).code == 200
    assert service.calls == [("run_pipeline", {"name": "nightly", **expected})]


def test_trigger_takes_a_null_conf_for_none(server: ServerClient, service: RecordingService) -> None:
    assert server.change("POST", "trigger", body={"dag_id": "nightly", "conf": None}).code == 200
    assert service.calls == [("run_pipeline", {"name": "nightly"})]


@pytest.mark.parametrize(
    ("query", "run_id"),
    [
        (RUN, RUN),
        ("manual__1", str(uuid.uuid5(uuid.NAMESPACE_URL, "openmetadata:nightly:manual__1"))),
        ("", None),
    ],
)
def test_a_run_id_in_the_query_becomes_a_uuid(
    server: ServerClient, service: RecordingService, query: str, run_id: str | None
) -> None:
    assert server.change("POST", "trigger", {"run_id": query}, body={"dag_id": "nightly"}).code == 200
    assert service.calls == [("run_pipeline", {"name": "nightly"} | ({"run_id": run_id} if run_id else {}))]


def test_the_run_id_in_conf_wins_over_the_query(server: ServerClient, service: RecordingService) -> None:
    body = {"dag_id": "nightly", "conf": {"pipelineRunId": RUN}}
    assert server.change("POST", "trigger", {"run_id": "other"}, body=body).code == 200
    assert service.calls == [("run_pipeline", {"name": "nightly", "run_id": RUN})]


@pytest.mark.parametrize(
    "name",
    ["Sales (EU) – täglich / v2.1", "a+b", "a%20b", " ", "\0", "ü" * 256, "🐘" * 256, "a&b=c#d?e"],  # noqa: RUF001
)
@pytest.mark.parametrize("operation", [*CHANGES[1:], "queued", "logs"])
def test_a_name_arrives_as_openmetadata_has_it(
    old_server: ServerClient, service: RecordingService, operation: str, name: str
) -> None:
    assert call(old_server, operation, name).code == 200
    assert service.calls[0][1]["name"] == name


@pytest.mark.parametrize("operation", CHANGES[1:])
@pytest.mark.parametrize("name", ["", "x" * 257, "x" * 5000])
def test_a_name_of_no_or_too_many_characters_is_refused(
    old_server: ServerClient, service: RecordingService, operation: str, name: str
) -> None:
    reply = call(old_server, operation, name)
    assert reply.code == 400
    assert "'dag_id'" in reply.error
    assert not service.calls


@pytest.mark.parametrize("endpoint", ["trigger", "enable", "disable", "kill"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Missing parameter 'dag_id'"),
        ({"dag_id": None}, "Missing parameter 'dag_id'"),
        ({"dag_id": 7}, "Invalid parameter value for 'dag_id': must be text of 1 to 256 characters"),
        ({"dag_id": {"a": 1}}, "Invalid parameter value for 'dag_id': must be text of 1 to 256 characters"),
        ([], "The body is not a JSON object"),
        ("text", "The body is not a JSON object"),
        (b"", "The body is not JSON"),
        (b"dag_id=nightly", "The body is not JSON"),
        (b'{"dag_id": "nightly"', "The body is not JSON"),
        (b'{"dag_id": "\xff"}', "The body is not JSON"),
        (b'{"dag_id": "\\ud800"}', "The body is not JSON"),
        (b'{"dag_id": "a", "x": NaN}', "The body is not JSON"),
        (b'{"dag_id": "a", "x": 1e999}', "The body is not JSON"),
        (b'{"dag_id": "a", "x": ' + b"9" * 5000 + b"}", "The body is not JSON"),
        (b"[" * 100_000, "The body is not JSON"),
    ],
)
def test_a_wrong_body_is_a_400_that_names_what_is_wrong(
    old_server: ServerClient, service: RecordingService, endpoint: str, body: Any, said: str
) -> None:
    reply = old_server.change("POST", endpoint, body=body)
    assert (reply.code, reply.error) == (400, said)
    assert not service.calls


def test_an_escaped_surrogate_pair_is_a_character(old_server: ServerClient, service: RecordingService) -> None:
    assert old_server.change("POST", "kill", body=b'{"dag_id": "\\ud83d\\ude00"}').code == 200
    assert service.calls == [("kill_ingestion", {"name": "😀"})]


def test_every_wrong_parameter_of_a_trigger_has_its_line(old_server: ServerClient, service: RecordingService) -> None:
    conf = {"pipelineRunId": "today", "appConfigOverride": [], "sourceConfigOverride": "x"}
    reply = old_server.change("POST", "trigger", body={"conf": conf})
    assert reply.code == 400
    assert reply.error.splitlines() == [
        "Missing parameter 'dag_id'",
        "Invalid parameter value for 'conf.pipelineRunId': must be a UUID",
        "Invalid parameter value for 'conf.appConfigOverride': must be an object",
        "Invalid parameter value for 'conf.sourceConfigOverride': must be an object",
    ]
    assert not service.calls


def test_a_conf_that_is_not_an_object_is_refused(old_server: ServerClient) -> None:
    reply = old_server.change("POST", "trigger", body={"dag_id": "a", "conf": "x"})
    assert (reply.code, reply.error) == (400, "Invalid parameter value for 'conf': must be an object")


@pytest.mark.parametrize("query", ["", "dag_id=", "other=1", "dag_id"])
@pytest.mark.parametrize("path", ["status", "last_dag_logs"])
def test_a_query_without_a_name_is_refused(old_server: ServerClient, path: str, query: str) -> None:
    reply = old_server.send("GET", f"{old_server.root}/{path}?{query}")
    assert (reply.code, reply.error) == (400, "Missing parameter 'dag_id'")


def test_a_query_that_is_not_utf8_is_refused(old_server: ServerClient) -> None:
    reply = old_server.send("GET", f"{old_server.root}/status?dag_id=%ff")
    assert (reply.code, reply.error) == (400, "The query is not in UTF-8")


@pytest.mark.parametrize("operation", [*CHANGES, "queued", "logs"])
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Rejected("InvalidEntity", "sourceConfig.config: missing"), 400, "sourceConfig.config: missing"),
        (NotFound("there is no pipeline 'nightly'", code=404), 404, "there is no pipeline 'nightly'"),
        (Unavailable("GET /apis: secret detail", code=503), 503, "cannot reach Kubernetes"),
        (Conflict("PATCH /apis: secret detail", code=409), 503, "cannot reach Kubernetes"),
        (Forbidden("GET /apis: secret detail", code=403), 500, "gateway failed"),
        (Invalid("GET /apis: secret detail", code=422), 500, "gateway failed"),
        (RuntimeError("secret detail"), 500, "gateway failed"),
        (TimeoutError("secret detail"), 503, "cannot reach Kubernetes"),
        (StoreError("secret detail"), 503, "cannot read the log archive"),
    ],
)
def test_an_error_of_the_service_has_its_code_only(
    old_server: ServerClient, service: RecordingService, operation: str, error: Exception, code: int, said: str
) -> None:
    service.answers[METHODS[operation]] = error
    reply = call(old_server, operation)
    assert reply.code == code
    assert said in reply.error
    assert "secret detail" not in reply.error
    assert len(service.calls) == 1


def test_the_detail_of_a_failure_is_in_the_log(
    old_server: ServerClient, service: RecordingService, caplog: pytest.LogCaptureFixture
) -> None:
    service.answers["kill_ingestion"] = RuntimeError("the detail")
    assert old_server.kill("nightly").code == 500
    wait_for("the detail in the log", lambda: "RuntimeError: the detail" in caplog.text, timeout=5)


@pytest.mark.parametrize("endpoint", ["run_automation", "run_application", "test_connection"])
def test_a_document_to_be_run_once_is_handed_over_whole(
    server: ServerClient, service: RecordingService, endpoint: str
) -> None:
    assert server.change("POST", endpoint, body=ENTITY).message == "started"
    assert service.calls == [(endpoint, {"document": ENTITY})]


@pytest.mark.parametrize("endpoint", ["run_automation", "run_application", "test_connection"])
def test_a_document_that_is_not_an_object_is_refused(
    server: ServerClient, service: RecordingService, endpoint: str
) -> None:
    reply = server.change("POST", endpoint, body=[])
    assert (reply.code, reply.error) == (400, "The body is not a JSON object")
    assert not service.calls


def test_one_run_can_be_killed_alone(server: ServerClient, service: RecordingService) -> None:
    assert server.change("POST", "kill", body={"dag_id": "nightly", "run_id": RUN}).message == "killed"
    assert service.calls == [("kill_ingestion_run", {"name": "nightly", "run_id": RUN})]


def test_the_log_of_one_run_can_be_read(server: ServerClient, service: RecordingService) -> None:
    reply = server.read("last_dag_logs", {"dag_id": "nightly", "run_id": RUN, "after": "3"})
    assert reply.json == {"ingestion_task": "a run's line\n", "total": 1}
    assert service.calls == [("get_ingestion_logs", {"name": "nightly", "run_id": RUN, "after": 3})]


def test_a_run_id_that_is_not_a_uuid_is_refused(server: ServerClient, service: RecordingService) -> None:
    replies = [
        server.change("POST", "kill", body={"dag_id": "nightly", "run_id": "manual__1"}),
        server.read("last_dag_logs", {"dag_id": "nightly", "run_id": "manual__1"}),
    ]
    for reply in replies:
        assert (reply.code, reply.error) == (400, "Invalid parameter value for 'run_id': must be a UUID")
    assert not service.calls


def test_the_address_of_runs_is_text(server: ServerClient, service: RecordingService) -> None:
    assert server.read("ip").json == {"ip": "203.0.113.7"}
    service.answers["request_get_host_ip"] = "unknown"
    assert server.read("ip").json == {"ip": "unknown"}


def test_a_body_above_the_bound_is_refused_while_it_arrives(running: Running, service: RecordingService) -> None:
    server = ServerClient.old(running.port)
    reply = server.change("POST", "deploy", body=json.dumps({"name": "x" * (6 * 1024 * 1024)}).encode())
    assert reply.code == 400
    assert "larger than 5242880 bytes" in reply.error
    assert not service.calls
    server.close()


def test_a_body_below_the_bound_is_taken(old_server: ServerClient) -> None:
    assert old_server.deploy({"name": "x" * (4 * 1024 * 1024)}).message == "deployed"


def test_a_body_in_chunks_is_read(running: Running, service: RecordingService) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    headers = {"Authorization": "Basic YWRtaW46c2VjcmV0", "Transfer-Encoding": "chunked"}
    connection.request(
        "POST", "/api/v1/openmetadata/kill", iter([b'{"dag', b'_id":"a"}']), headers, encode_chunked=True
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert service.calls == [("kill_ingestion", {"name": "a"})]
