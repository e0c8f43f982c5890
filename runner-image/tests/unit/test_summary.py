import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ingestion_runner.masking import MASK, Masker
from ingestion_runner.outcomes import Outcome, Reason, State
from ingestion_runner.summary import MAX_BYTES, ReportedBy, summarize, write_summary

START = datetime(2026, 11, 23, 3, 0, 0, 123456, tzinfo=UTC)
END = datetime(2026, 11, 23, 3, 0, 12, tzinfo=UTC)
RUN_ID = "0b9a8f0e-6a3c-4f8b-9d67-3f2f6f1f8f11"


def encoded(
    outcome: Outcome, *, reported_by: ReportedBy = "workflow", masker: Masker | None = None, final: bool = False
) -> bytes:
    return summarize(
        outcome,
        run_id=RUN_ID,
        reported_by=reported_by,
        start_time=START,
        end_time=END,
        masker=masker or Masker(),
        final=final,
    )


def test_summary_has_all_that_is_known() -> None:
    outcome = Outcome(
        state=State.PARTIAL_SUCCESS,
        reason=Reason.PARTIALLY_SUCCEEDED,
        message="95.0 % of the records succeeded",
        records=38,
        warnings=0,
        errors=2,
        first_failure={"name": "shop.public.orders", "error": "refused"},
    )

    assert json.loads(encoded(outcome)) == {
        "version": 1,
        "runId": RUN_ID,
        "state": "partialSuccess",
        "reason": "PartiallySucceeded",
        "message": "95.0 % of the records succeeded",
        "startTime": "2026-11-23T03:00:00.123Z",
        "endTime": "2026-11-23T03:00:12.000Z",
        "records": 38,
        "warnings": 0,
        "errors": 2,
        "firstFailure": {"name": "shop.public.orders", "error": "refused"},
        "reportedBy": "workflow",
    }


def test_summary_leaves_out_what_is_unknown() -> None:
    summary = json.loads(encoded(Outcome.failed(Reason.INITIALIZATION_FAILED, "the database is down")))

    assert summary.keys() == {
        "version",
        "runId",
        "state",
        "reason",
        "message",
        "startTime",
        "endTime",
        "reportedBy",
    }


def test_summary_is_provisional_only_after_a_stop() -> None:
    assert json.loads(encoded(Outcome.failed(Reason.INTERRUPTED, "asked to stop")))["provisional"] is True
    assert "provisional" not in json.loads(encoded(Outcome.failed(Reason.OUT_OF_MEMORY, "killed")))
    assert "provisional" not in json.loads(encoded(Outcome.failed(Reason.INTERRUPTED, "asked to stop"), final=True))


def test_summary_is_one_line_without_secrets() -> None:
    summary = json.loads(
        encoded(Outcome.failed(Reason.WORKFLOW_FAILED, "a\n  b hunter2hunter"), masker=Masker(["hunter2hunter"]))
    )

    assert summary["message"] == f"a b {MASK}"


@given(
    message=st.text(alphabet=st.characters(exclude_categories=[]), max_size=6000),
    error=st.text(max_size=6000),
    name=st.text(max_size=6000),
    count=st.integers(0, 10**12),
)
def test_summary_always_fits_and_stays_valid(message: str, error: str, name: str, count: int) -> None:
    outcome = Outcome(
        state=State.FAILED,
        reason=Reason.WORKFLOW_FAILED,
        message=message,
        records=count,
        warnings=count,
        errors=count,
        first_failure={"name": name, "error": error},
    )

    summary = encoded(outcome)

    assert len(summary) <= MAX_BYTES
    assert json.loads(summary.decode("utf-8"))["errors"] == count


def test_summary_keeps_as_much_text_as_fits() -> None:
    summary = json.loads(encoded(Outcome.failed(Reason.WORKFLOW_FAILED, "é" * 5000)))

    assert summary["message"] == "é" * 1023 + "…"


def test_write_summary_reports_an_unwritable_file(tmp_path: Path) -> None:
    problem = write_summary(b"{}", {"TERMINATION_LOG": str(tmp_path / "missing" / "log")})

    assert problem is not None
    assert "No such file or directory" in problem
