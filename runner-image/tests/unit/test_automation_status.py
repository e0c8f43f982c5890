from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.automation_status import closing_patch, connection_type, decide, outcome_of_workflow
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.pipeline_status import Decision

STARTED, ENDED = 1_000_000, 1_020_000
STEP_NAMES = ("CheckAccess", "GetSchemas", "GetTables")
FAILED = Outcome.failed(Reason.INITIALIZATION_FAILED, "no driver\nfor it")
EXECUTED = Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="done")


def step(name: str, *, passed: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "mandatory": True, "passed": passed, **more}


def workflow(
    status: str | None, *steps: dict[str, Any], result: str = "Running", updated: int = STARTED + 5
) -> dict[str, Any]:
    response = {"lastUpdatedAt": updated, "status": result, "steps": list(steps)}
    return {"id": "1", "status": status, "response": response}


def closed(found: dict[str, Any], outcome: Outcome = FAILED, step_names: tuple[str, ...] = STEP_NAMES) -> Any:
    patch = closing_patch(
        found, outcome, step_names=step_names, started=STARTED, ended=ENDED, log_tail="the end of the log"
    )
    assert [(operation["op"], operation["path"]) for operation in patch] == [("add", "/response"), ("add", "/status")]
    assert patch[1]["value"] == "Failed"
    return patch[0]["value"]


@pytest.mark.parametrize("outcome", [FAILED, EXECUTED])
@pytest.mark.parametrize("found", [{}, {"status": "Pending"}, workflow("Running", step("CheckAccess"))])
def test_automation_that_goes_on_is_closed(found: dict[str, Any], outcome: Outcome) -> None:
    assert decide(found, outcome, STARTED) is Decision.WRITE


@pytest.mark.parametrize("outcome", [FAILED, EXECUTED])
@pytest.mark.parametrize("status", ["Successful", "Failed"])
def test_automation_that_the_library_has_closed_is_left_alone(status: str, outcome: Outcome) -> None:
    assert decide(workflow(status, step("CheckAccess")), outcome, STARTED) is Decision.KEEP


def test_automation_closed_without_a_step_is_closed_again() -> None:
    assert decide(workflow("Failed", result="Failed"), FAILED, STARTED) is Decision.WRITE
    assert decide(workflow("Failed", result="Failed"), EXECUTED, STARTED) is Decision.KEEP


def test_an_earlier_result_does_not_hide_a_failed_start() -> None:
    earlier = workflow("Successful", step("CheckAccess"), updated=STARTED - 1)

    assert decide(earlier, FAILED, STARTED) is Decision.WRITE
    assert closed(earlier)["steps"] == [
        {**step("CheckAccess", passed=False), "message": "no driver for it", "errorLog": "the end of the log"}
    ]


def test_reason_is_reported_in_the_first_step_without_a_result() -> None:
    response = closed(workflow("Running", step("CheckAccess")))

    assert (response["lastUpdatedAt"], response["status"]) == (ENDED, "Failed")
    assert response["steps"] == [
        step("CheckAccess"),
        {**step("GetSchemas", passed=False), "message": "no driver for it", "errorLog": "the end of the log"},
    ]


def test_reason_replaces_the_last_step_when_all_have_a_result() -> None:
    steps = closed(workflow("Running", *(step(name) for name in STEP_NAMES)))["steps"]

    assert [(known["name"], known["passed"]) for known in steps] == [
        ("CheckAccess", True),
        ("GetSchemas", True),
        ("GetTables", False),
    ]


def test_reason_is_in_the_common_step_of_an_unknown_connector() -> None:
    assert [known["name"] for known in closed({"status": "Pending"}, step_names=())["steps"]] == ["CheckAccess"]


def test_stop_is_reported_in_words_for_the_person_who_waits() -> None:
    outcome = Outcome.failed(Reason.INTERRUPTED, "the pod was stopped (SIGTERM)")

    assert "its time was up" in closed({}, outcome)["steps"][0]["message"]


@given(
    st.dictionaries(
        st.sampled_from(["status", "response", "request"]),
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["status", "steps", "name", "lastUpdatedAt", "passed"]), inner)
            ),
        ),
    )
)
def test_any_answer_of_the_server_can_be_closed_and_reported(found: dict[str, Any]) -> None:
    decide(found, FAILED, STARTED)
    connection_type(found)
    assert closed(found)["steps"][-1]["passed"] is False
    assert outcome_of_workflow(found).state is State.SUCCESS


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (workflow("Successful", step("CheckAccess"), result="Successful"), "the connection test passed"),
        (
            workflow("Successful", step("CheckAccess"), step("GetTags", passed=False), result="Successful"),
            "the connection test passed; optional steps failed: GetTags",
        ),
        (
            workflow(
                "Failed",
                step("CheckAccess", passed=False, errorLog="password\nauthentication failed"),
                step("GetSchemas", passed=False, status="Skipped"),
                result="Failed",
            ),
            "the connection test failed: CheckAccess (password authentication failed)",
        ),
        (
            # The library's versions 1.x: the workflow was successful in finding out that the test failed.
            workflow("Successful", *(step(str(number), passed=False) for number in range(7)), result="Failed"),
            "the connection test failed: 0, 1, 2, 3, 4, …",
        ),
        ({"status": "Failed"}, "the connection test ended as Failed"),
    ],
)
def test_result_is_reported_in_one_line(found: dict[str, Any], message: str) -> None:
    assert outcome_of_workflow(found).message == message


def test_connection_type_names_the_definition() -> None:
    assert connection_type({"request": {"connectionType": "Postgres"}}) == "Postgres"
    assert connection_type({"request": {}}) is None
