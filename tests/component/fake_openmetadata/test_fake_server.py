import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from uuid import uuid4

import pytest

from testing.fake_openmetadata_client import FakeServerClient, FakeServerError
from tests.component.fake_openmetadata.api import Api


def test_the_version_needs_no_token_and_everything_else_does(api: Api) -> None:
    assert api.call("GET", "/system/version", token="wrong")[1]["version"] == "2.0.6"

    status, answer = api.call("GET", "/services/databaseServices/name/shop", token="wrong")

    assert (status, answer["code"]) == (401, 401)


def test_the_version_can_be_changed_until_the_reset(api: Api, fake_server: FakeServerClient) -> None:
    definition = "/services/testConnectionDefinitions/name/Postgres.testConnectionDefinition"
    assert "category" in api.call("GET", definition)[1]["steps"][0]

    fake_server.set_version("1.13.6")

    assert api.call("GET", "/system/version")[1]["version"] == "1.13.6"
    assert "category" not in api.call("GET", definition)[1]["steps"][0]
    fake_server.reset()
    assert fake_server.health()["version"] == "2.0.6"


def test_slashes_may_be_doubled_and_those_in_names_are_encoded(fake_server: FakeServerClient, api: Api) -> None:
    fake_server.register_service("a/b", "CustomDatabase")

    assert api.call("GET", "//services///databaseServices/name/a%2Fb", root="/api//v1")[1]["name"] == "a/b"


def test_a_path_outside_of_the_api_gets_the_page_of_the_ui(api: Api) -> None:
    status, page = api.call("GET", "/system/version", root="/v1")

    assert status == 200
    assert "<html>" in page


def test_an_unknown_path_is_a_404_and_recorded(api: Api, fake_server: FakeServerClient) -> None:
    assert api.call("GET", "/glossaries/name/x")[0] == 404
    assert api.call("GET", "/tables/name/x")[0] == 404

    assert [call["path"] for call in fake_server.calls(unknown=True)] == ["/api/v1/glossaries/name/x"]


def test_calls_are_recorded_without_the_token(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.clear_calls()
    before = time.time()
    api.call("PUT", "/databases/bulk?async=false", [{"name": "main", "service": "shop"}])

    (call,) = fake_server.calls(method="PUT", path="^/api/v1/databases")

    assert (call["method"], call["path"], call["status"]) == ("PUT", "/api/v1/databases/bulk", 200)
    assert call["query"] == {"async": "false"}
    assert call["body"] == [{"name": "main", "service": "shop"}]
    assert before <= call["at"] <= time.time()
    assert "a-bot-token" not in str(call)
    assert fake_server.calls(after=call["number"]) == []


def test_a_long_body_is_recorded_in_part_and_served_whole(api: Api, fake_server: FakeServerClient) -> None:
    long = {"name": "main", "service": "shop", "description": "x" * 200_000}

    assert api.call("PUT", "/databases", long)[0] == 201

    assert len(fake_server.calls(method="PUT")[-1]["body"]) == 64 * 1024
    assert fake_server.entities("databases")[0]["description"] == long["description"]


def test_a_fault_is_given_as_often_as_asked_for(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.set_faults({"method": "GET", "path": "/databases", "status": 503, "times": 2})

    answers = [api.call("GET", "/databases")[0] for _ in range(3)]

    assert answers == [503, 503, 200]
    assert api.call("GET", "/tables")[0] == 200
    assert fake_server.faults()[0]["times"] == 0


def test_a_fault_may_only_delay_or_cut_the_connection(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.set_faults(
        {"path": "/tables", "delaySeconds": 0.5, "times": 1}, {"path": "/tables", "status": 0, "times": 1}
    )

    started = time.monotonic()
    assert api.call("GET", "/tables")[0] == 200
    assert time.monotonic() - started >= 0.5
    with pytest.raises((OSError, HTTPException)):
        api.call("GET", "/tables")

    assert [call["status"] for call in fake_server.calls(path="/tables$")] == [200, 0]
    assert api.call("GET", "/tables")[0] == 200


def test_a_delayed_call_holds_up_no_other(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.set_faults({"path": "/tables", "delaySeconds": 5, "times": 1})

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(api.call, "GET", "/tables")
        started = time.monotonic()
        while fake_server.faults()[0]["times"]:
            assert time.monotonic() - started < 5
        assert api.call("GET", "/databases")[0] == 200
        assert not slow.done()


def test_a_fault_may_refuse_single_rows_of_bulk_requests(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.set_faults({"path": "/databases/bulk", "entity": r"\.bad$", "status": 400, "message": "no"})

    result = api.make("databases", {"name": "bad", "service": "shop"}, {"name": "good", "service": "shop"})

    assert (result["numberOfRowsPassed"], result["numberOfRowsFailed"]) == (1, 1)
    assert result["failedRequest"] == [{"request": "shop.bad", "message": "no", "status": 400}]
    assert [entity["name"] for entity in fake_server.entities("databases")] == ["good"]


def test_a_fault_is_refused_when_it_cannot_be_understood(fake_server: FakeServerClient) -> None:
    for fault in ({"path": "("}, {"pth": "/tables"}):
        with pytest.raises(FakeServerError, match="400"):
            fake_server.set_faults(fault)


def test_a_service_with_an_invalid_connection_is_refused(fake_server: FakeServerClient) -> None:
    with pytest.raises(FakeServerError, match="CreateDatabaseServiceRequest"):
        fake_server.register_service("wrong", "Postgres", {"config": {"type": "Postgres", "nonsense": True}})


def test_a_pipeline_is_refused_when_its_service_is_unknown(fake_server: FakeServerClient) -> None:
    with pytest.raises(FakeServerError, match="register the service other"):
        fake_server.register_pipeline("other.nightly")


def test_writes_from_many_threads_are_all_kept(api: Api, fake_server: FakeServerClient) -> None:
    path = "/services/ingestionPipelines/shop.nightly/pipelineStatus"
    rows = [{"runId": str(uuid4()), "pipelineState": "success"} for _ in range(200)]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda row: api.call("PUT", path, row)[0], rows))

    assert set(answers) == {200}
    assert {run["runId"] for run in fake_server.runs("shop.nightly")} == {row["runId"] for row in rows}


def test_a_reset_forgets_everything(api: Api, fake_server: FakeServerClient) -> None:
    fake_server.set_faults({"status": 500})
    api.call("GET", "/tables")

    fake_server.reset()

    assert (fake_server.calls(), fake_server.faults(), fake_server.runs()) == ([], [], [])
    assert fake_server.entities("services/databaseServices") == []
