import pytest

from testing.fake_openmetadata_client import FakeServerClient, FakeServerError
from testing.postgres.process import connection
from tests.component.fake_openmetadata.api import Api

REQUEST = {
    "connection": connection("postgres:5432", "x"),
    "serviceType": "Database",
    "connectionType": "Postgres",
    "secretsManagerProvider": "db",
}
STEP = {"name": "CheckAccess", "mandatory": True, "passed": False, "message": "no", "errorLog": "the log"}


def test_an_automation_is_read_by_name_and_patched_by_id(api: Api) -> None:
    created = api.call(
        "POST",
        "/automations/workflows",
        {"name": "test-it", "workflowType": "TEST_CONNECTION", "request": REQUEST},
    )

    found = api.call("GET", "/automations/workflows/name/test-it")[1]
    patched = api.call(
        "PATCH",
        f"/automations/workflows/{found['id']}",
        [{"op": "add", "path": "/status", "value": "Successful"}],
    )

    assert created[0] == 201
    assert (patched[0], patched[1]["status"]) == (200, "Successful")


def test_a_registered_automation_is_found_by_name_and_by_id(fake_server: FakeServerClient, api: Api) -> None:
    entity = fake_server.register_automation("test-it", REQUEST)

    assert entity["status"] == "Pending"
    assert entity["request"]["connectionType"] == "Postgres"
    for path in (f"/automations/workflows/{entity['id']}", "/automations/workflows/name/test-it"):
        assert api.call("GET", path) == (200, entity)


def test_an_invalid_automation_is_not_registered(
    fake_server: FakeServerClient,
) -> None:
    with pytest.raises(FakeServerError, match="CreateWorkflowRequest"):
        fake_server.register_automation("test-it", {"connection": {"config": {"type": "Postgres", "nonsense": 1}}})


def test_an_automation_has_its_status_history(fake_server: FakeServerClient, api: Api) -> None:
    entity = fake_server.register_automation("test-it", REQUEST)
    response = {"lastUpdatedAt": 1, "status": "Failed", "steps": [STEP]}
    for status in ("Running", "Failed"):
        patch = [
            {"op": "add", "path": "/response", "value": response},
            {"op": "add", "path": "/status", "value": status},
        ]
        assert api.call("PATCH", f"/automations/workflows/{entity['id']}", patch)[0] == 200

    automation = fake_server.automation("test-it")

    assert (automation["status"], automation["response"]) == ("Failed", response)
    assert [version["status"] for version in automation["history"]] == ["Pending", "Running", "Failed"]
    assert fake_server.automation(entity["id"]) == automation


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/status", "Done"),
        ("/response", {"status": "Failed", "steps": [{**STEP, "category": "ConnectionGate"}]}),
        ("/response", {"status": "Failed", "steps": [{"name": "CheckAccess", "passed": False}]}),
    ],
)
def test_a_patch_that_spoils_an_automation_is_refused(
    fake_server: FakeServerClient, api: Api, path: str, value: object
) -> None:
    entity = fake_server.register_automation("test-it", REQUEST)

    status, answer = api.call(
        "PATCH", f"/automations/workflows/{entity['id']}", [{"op": "add", "path": path, "value": value}]
    )

    assert (status, answer["code"]) == (400, 400)
    assert fake_server.automation("test-it")["status"] == "Pending"
    assert len(fake_server.calls(method="PATCH", invalid=True)) == 1


def test_a_deleted_automation_is_still_found_by_its_id(fake_server: FakeServerClient, api: Api) -> None:
    entity = fake_server.register_automation("test-it", REQUEST)

    assert api.call("DELETE", f"/automations/workflows/{entity['id']}?hardDelete=true")[0] == 200

    assert api.call("GET", f"/automations/workflows/{entity['id']}")[0] == 404
    assert fake_server.automation(entity["id"])["deleted"] is True
    with pytest.raises(FakeServerError, match="404"):
        fake_server.automation("test-it")


def test_an_automation_that_is_registered_again_starts_again(fake_server: FakeServerClient) -> None:
    first = fake_server.register_automation("test-it", REQUEST)
    second = fake_server.register_automation("test-it", REQUEST)

    assert first["id"] != second["id"]
    assert len(fake_server.automation("test-it")["history"]) == 1
