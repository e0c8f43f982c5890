from typing import Any
from uuid import uuid4

import pytest

from testing.fake_openmetadata_client import FakeServerClient
from tests.component.fake_openmetadata.api import Api

STATUS = "/services/ingestionPipelines/shop.nightly/pipelineStatus"


def row(run_id: str, state: str, **more: Any) -> dict[str, Any]:
    return {"runId": run_id, "pipelineState": state, "timestamp": 1000, "startDate": 1000, **more}


def test_an_unknown_run_is_an_empty_answer(api: Api) -> None:
    assert api.call("GET", f"{STATUS}/{uuid4()}") == (204, "")


def test_a_run_is_one_row_that_keeps_the_history_of_its_writes(api: Api, fake_server: FakeServerClient) -> None:
    run_id = str(uuid4())

    for state in ("running", "failed", "success"):
        assert api.call("PUT", STATUS, row(run_id, state))[0] == 200

    (run,) = fake_server.runs("shop.nightly")
    assert api.call("GET", f"{STATUS}/{run_id}")[1]["pipelineState"] == "success"
    assert (run["state"], run["writes"]) == ("success", 3)
    assert run["terminalStates"] == ["failed", "success"]
    assert [write["state"] for write in run["history"]] == ["running", "failed", "success"]


def test_a_row_is_refused_when_it_does_not_fit_the_model(api: Api, fake_server: FakeServerClient) -> None:
    run_id = str(uuid4())

    for bad in (row(run_id, "finished"), row(run_id, "failed", extra=1), {"pipelineState": "failed"}):
        assert api.call("PUT", STATUS, bad)[0] == 400
    assert api.call("PUT", STATUS, b"{not json")[0] == 400

    assert len(fake_server.calls(invalid=True)) == 4
    assert fake_server.runs() == []


def test_a_status_with_steps_fits_the_model(api: Api, fake_server: FakeServerClient) -> None:
    failure = {"name": "Runner", "error": "killed", "stackTrace": "Interrupted"}
    step = {"name": "Runner", "records": 0, "errors": 1, "failures": [failure]}

    assert api.call("PUT", STATUS, row(str(uuid4()), "failed", endDate=2000, status=[step]))[0] == 200
    assert fake_server.runs()[0]["row"]["status"] == [step]


def test_rows_are_listed_newest_first_within_the_given_time(api: Api) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    for number, run_id in enumerate(ids):
        api.call("PUT", STATUS, {**row(run_id, "success"), "timestamp": 1000 + number})

    listed = api.call("GET", f"{STATUS}?startTs=1001&endTs=2000")[1]

    assert [one["runId"] for one in listed["data"]] == [ids[2], ids[1]]


def test_a_row_for_an_unknown_pipeline_is_a_404(api: Api) -> None:
    path = "/services/ingestionPipelines/shop.other/pipelineStatus"

    assert api.call("PUT", path, row(str(uuid4()), "running"))[0] == 404


def test_the_client_may_create_the_pipeline_itself(api: Api) -> None:
    service = api.call("GET", "/services/databaseServices/name/shop")[1]
    status, pipeline = api.call(
        "PUT",
        "/services/ingestionPipelines",
        {
            "name": "made",
            "pipelineType": "metadata",
            "service": {"id": service["id"], "type": "databaseService"},
            "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
            "airflowConfig": {},
        },
    )

    assert (status, pipeline["fullyQualifiedName"]) == (201, "shop.made")
    assert api.call("GET", "/services/ingestionPipelines/name/shop.made")[1] == pipeline


def test_logs_and_progress_belong_to_the_run(api: Api, fake_server: FakeServerClient) -> None:
    run_id, base = str(uuid4()), "/services/ingestionPipelines"
    progress = {"runId": run_id, "timestamp": 1, "updateType": "DISCOVERY"}

    assert api.call("PUT", f"{base}/progress/shop.nightly/{run_id}", progress)[0] == 204
    assert api.call("PUT", f"{base}/progress/shop.nightly/{run_id}", {"updateType": "X"})[0] == 400
    for line in ("one", "two"):
        batch = {"logs": line, "timestamp": 1, "connectorId": "pod-1", "compressed": False, "lineCount": 1}
        assert api.call("POST", f"{base}/logs/shop.nightly/{run_id}", batch)[0] == 200
    assert api.call("POST", f"{base}/logs/shop.nightly/{run_id}/close", {"timestamp": 1})[0] == 200

    (run,) = fake_server.runs("shop.nightly")
    assert (run["logs"], run["logsClosed"], run["progress"]) == ("one\ntwo\n", True, [progress])
    assert api.call("GET", f"{STATUS}/{run_id}") == (204, "")


def test_waiting_ends_with_a_terminal_state_or_an_error(api: Api, fake_server: FakeServerClient) -> None:
    run_id = str(uuid4())
    api.call("PUT", STATUS, row(run_id, "running"))

    with pytest.raises(TimeoutError, match=r"shop\.nightly is running"):
        fake_server.wait_for_run("shop.nightly", timeout=0)
    api.call("PUT", STATUS, row(run_id, "partialSuccess"))

    assert fake_server.wait_for_run("shop.nightly", timeout=5)["runId"] == run_id
