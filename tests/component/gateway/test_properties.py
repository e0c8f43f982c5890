"""What holds for every name, every text and every body."""

import json
import string
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion_operator.api.service import LogPage
from testing.gateway import Running
from testing.server_client import ServerClient
from tests.component.gateway.recording_service import RecordingService

ONE_GATEWAY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
UNICODE = st.characters(exclude_categories=["Cs"])
NAMES = st.text(UNICODE, min_size=1, max_size=256)
KNOWN_CODES = {200, 400, 401, 404, 405, 500, 503}
CHANGES = ["deploy", "trigger", "enable", "disable", "kill", "run_automation", "test_connection", "run_application"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(UNICODE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(UNICODE), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture
def kept(running: Running) -> Iterator[ServerClient]:
    client = ServerClient.old(running.port)
    yield client
    client.close()


@ONE_GATEWAY
@given(name=NAMES)
def test_any_name_travels_unchanged_in_bodies_and_queries(
    kept: ServerClient, service: RecordingService, name: str
) -> None:
    service.reset()
    for reply in (kept.trigger(name), kept.kill(name), kept.queued(name), kept.logs(name), kept.delete(name)):
        assert reply.code == 200
    assert [arguments["name"] for _, arguments in service.calls] == [name] * 5


@ONE_GATEWAY
@given(text=st.text(UNICODE), task=st.text(string.ascii_letters + "_-", min_size=1))
def test_any_log_arrives_unchanged_as_one_string(
    kept: ServerClient, service: RecordingService, text: str, task: str
) -> None:
    service.reset()
    service.answers["get_last_ingestion_logs"] = LogPage(text=text, total=1, pipeline_type="metadata")
    reply = kept.logs("nightly", task)
    if task in ("total", "after", "error"):
        assert reply.code == 400
    else:
        assert reply.json == {task: text, "total": 1}


@ONE_GATEWAY
@given(entity=st.dictionaries(st.text(UNICODE), VALUES, max_size=5))
def test_any_entity_reaches_the_service_unchanged(
    kept: ServerClient, service: RecordingService, entity: dict[str, object]
) -> None:
    service.reset()
    assert kept.deploy(entity).code == 200
    assert service.calls == [("deploy_pipeline", {"entity": json.loads(json.dumps(entity))})]


@ONE_GATEWAY
@given(
    endpoint=st.sampled_from(CHANGES),
    body=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()),
)
def test_any_body_has_an_answer_that_a_server_understands(kept: ServerClient, endpoint: str, body: bytes) -> None:
    reply = kept.change("POST", endpoint, body=body)
    assert reply.code in (200, 400)
    assert reply.message if reply.code == 200 else reply.error


@ONE_GATEWAY
@given(query=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=100))
def test_any_query_has_an_answer_that_a_server_understands(kept: ServerClient, query: str) -> None:
    for method, endpoint in (("GET", "status"), ("GET", "last_dag_logs"), ("DELETE", "delete"), ("POST", "trigger")):
        body = {"dag_id": "a"} if method == "POST" else None
        assert kept.send(method, f"{kept.root}/{endpoint}?{query}", body=body).code in (200, 400)


@ONE_GATEWAY
@given(path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#"), max_size=60))
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"])
def test_any_path_has_an_answer_that_a_server_understands(kept: ServerClient, method: str, path: str) -> None:
    assert kept.send(method, f"/{path}").code in KNOWN_CODES
