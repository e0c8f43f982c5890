from typing import Any

import pytest

from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.pipeline_status import ROW_FIELDS, Decision, closed_row, decide, outcome_of_row
from runner_testing.child import STEPS
from runner_testing.pod import RUN_ID

STARTED = 1_800_000_000_000


def row(state: str | None, end: int | None = None) -> dict[str, Any]:
    return {"runId": RUN_ID, "pipelineState": state, "endDate": end, "startDate": STARTED - 5000}


@pytest.mark.parametrize(
    ("existing", "decision"),
    [
        (None, Decision.WRITE),
        ({}, Decision.WRITE),
        (row(None), Decision.WRITE),
        (row("queued"), Decision.WRITE),
        (row("running"), Decision.WRITE),
        # a row that the workflow reopened for this attempt has an end date already
        (row("running", STARTED + 1000), Decision.WRITE),
        (row("success", STARTED + 1000), Decision.KEEP),
        (row("partialSuccess", STARTED + 1000), Decision.KEEP),
        (row("failed", STARTED + 1000), Decision.KEEP),
        (row("stopped", STARTED + 1000), Decision.KEEP),
        (row("failed"), Decision.KEEP),
        # an earlier attempt under the same run id
        (row("failed", STARTED - 1), Decision.WRITE),
        (row("stopped", STARTED - 1), Decision.WRITE),
        (row("aStateOfTheFuture", STARTED - 1), Decision.KEEP),
    ],
)
def test_row_is_written_only_for_an_unreported_attempt(existing: dict[str, Any] | None, decision: Decision) -> None:
    assert decide(existing, STARTED) is decision


def closed(outcome: Outcome, existing: dict[str, Any] | None = None, tail: str = "the last line") -> dict[str, Any]:
    return closed_row(outcome, run_id=RUN_ID, started=STARTED, ended=STARTED + 2000, existing=existing, log_tail=tail)


def test_row_of_a_run_without_a_report_has_the_step_runner() -> None:
    assert closed(Outcome.failed(Reason.INTERRUPTED, "asked to stop")) == {
        "runId": RUN_ID,
        "pipelineState": "failed",
        "startDate": STARTED,
        "timestamp": STARTED,
        "endDate": STARTED + 2000,
        "status": [
            {
                "name": "Runner",
                "records": 0,
                "warnings": 0,
                "errors": 1,
                "filtered": 0,
                "failures": [{"name": "Interrupted", "error": "asked to stop", "stackTrace": "the last line"}],
            }
        ],
    }


def test_row_repeats_the_workflows_own_steps() -> None:
    outcome = Outcome(state=State.SUCCESS, reason=Reason.SUCCEEDED, message="done", steps=STEPS)

    assert closed(outcome)["status"] == list(STEPS)


def test_row_keeps_its_start_and_drops_unknown_fields() -> None:
    existing = row("running") | {
        "timestamp": STARTED - 4000,
        "config": {},
        "metadata": None,
        "somethingNew": 1,
    }

    result = closed(Outcome.failed(Reason.WORKFLOW_CRASHED, "died"), existing)

    assert (result["startDate"], result["timestamp"]) == (STARTED - 5000, STARTED - 4000)
    assert result.keys() <= set(ROW_FIELDS)
    assert "metadata" not in result


def test_row_without_a_log_has_no_stack_trace() -> None:
    failure = closed(Outcome.failed(Reason.WORKFLOW_CRASHED, "died"), tail="")["status"][0]["failures"][0]

    assert failure == {"name": "WorkflowCrashed", "error": "died"}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("success", Reason.SUCCEEDED),
        ("partialSuccess", Reason.PARTIALLY_SUCCEEDED),
        ("failed", Reason.WORKFLOW_FAILED),
    ],
)
def test_outcome_is_taken_from_a_row_that_knows_better(state: str, reason: Reason) -> None:
    outcome = outcome_of_row(row(state))

    assert outcome is not None
    assert (outcome.state.value, outcome.reason) == (state, reason)


def test_outcome_is_not_taken_from_a_row_of_an_unknown_state() -> None:
    assert outcome_of_row(row("aStateOfTheFuture")) is None
