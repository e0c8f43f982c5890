import pytest

from ingestion_runner.masking import Masker
from ingestion_runner.outcomes import Outcome, Reason, State

EXIT_CODES = {
    "Succeeded": 0,
    "PartiallySucceeded": 0,
    "OutsideSchedule": 3,
    "OutOfMemory": 137,
    "Interrupted": 143,
    "InvalidConfiguration": 2,
    "UnsupportedPipelineType": 2,
    "UnknownSourceType": 2,
    "MissingPlugin": 2,
    "MissingLanguageModel": 2,
    "VersionMismatch": 2,
}


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_decides_the_exit_code(reason: Reason) -> None:
    assert reason.exit_code == EXIT_CODES.get(reason.value, 1)


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_is_retryable_if_another_attempt_can_help(reason: Reason) -> None:
    assert reason.retryable is (reason.exit_code in (1, 137, 143))


def test_outcome_survives_the_way_to_the_parent() -> None:
    outcome = Outcome(
        state=State.FAILED,
        reason=Reason.WORKFLOW_FAILED,
        message="3 records failed",
        records=4,
        warnings=1,
        errors=3,
        first_failure={"name": "a", "error": "b"},
        steps=({"name": "Postgres", "records": 4},),
    )

    assert Outcome.from_json(outcome.to_json()) == outcome


def test_outcome_keeps_its_state_beside_an_equal_secret() -> None:
    masked = Outcome.failed(Reason.WORKFLOW_FAILED, "failed for WorkflowFailed").masked(
        Masker(["failed", "WorkflowFailed"])
    )

    assert (masked.state, masked.reason) == (State.FAILED, Reason.WORKFLOW_FAILED)
    assert "failed" not in masked.message.lower()
