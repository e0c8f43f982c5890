"""Which row of a finished run the operator writes, row by row, and what stands in it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.api.status import FINISHED_STATES, Attempt, Run, RunSummary
from ingestion_operator.runs.openmetadata_states import epoch
from ingestion_operator.runs.report import LOG_TAIL_CHARACTERS, ROW_FIELDS, closed_row, is_due, is_provisional
from testing.objects import NOW

RUN_ID = "4f1f6bd4-0000-4000-8000-000000000001"
FIRST = Attempt(pod="a", node="n1", start_time=NOW + timedelta(seconds=1), end_time=NOW + timedelta(seconds=20))
LAST = Attempt(pod="b", node="n2", start_time=NOW + timedelta(seconds=40), end_time=NOW + timedelta(seconds=50))
NEVER_STARTED = Attempt(pod="b")
SUCCESSES = ("success", "partialSuccess")


def finished(state: Any = "failed", reason: str = "OutOfMemory", *attempts: Attempt, **more: Any) -> Run:
    """A run of which the operator has recorded the end."""
    fields: dict[str, Any] = {
        "id": RUN_ID,
        "job": "nightly-1",
        "trigger": "scheduled",
        "state": state,
        "reason": reason,
        "message": f"it was {state}",
        "start_time": NOW,
        "end_time": NOW + timedelta(seconds=50),
        "attempts": list(attempts or (FIRST, LAST)),
        "report": "Pending",
    }
    return Run(**(fields | more))


def row(state: str | None, ended: float | None = None, **more: Any) -> dict[str, Any]:
    """A row as the server returns it; `ended` in seconds after NOW."""
    found = {"runId": RUN_ID, "pipelineState": state, "startDate": epoch(NOW), "timestamp": epoch(NOW)}
    return found | ({} if ended is None else {"endDate": epoch(NOW) + int(ended * 1000)}) | more


def steps(name: str, reason: str = "", **more: Any) -> dict[str, Any]:
    failures = [{"name": reason, "error": "as reported", **more}] if reason else []
    return {"status": [{"name": name, "records": 0, "errors": 1, "failures": failures}]}


INTERRUPTED = steps("Runner", "Interrupted", stackTrace="the parent's last lines")
KILLED, REFUSED_START = finished("stopped", "Killed"), finished("stopped", "OutsideSchedule")
UNSEEN = finished("failed", "Evicted", Attempt(pod="a", reason="Evicted"))
ENDED_UNSEEN = finished("failed", "Evicted", FIRST, Attempt(pod="b", end_time=NOW + timedelta(seconds=50)))
AT_ONCE = finished("failed", "OutOfMemory", FIRST, LAST.model_copy(update={"start_time": FIRST.end_time}))
ONE_STARTED = finished("stopped", "Killed", FIRST, NEVER_STARTED)

TABLE = [
    ("no row", finished(), None, True),
    ("an empty answer", finished(), {}, True),
    ("no state", finished(), row(None), True),
    ("failed, then reported", finished("success", "Succeeded"), row("failed") | steps("Operator", "NodeLost"), True),
    ("failed, and reported", finished("failed", "NodeLost"), row("failed") | steps("Operator", "NodeLost"), False),
    ("queued", finished(), row("queued"), True),
    ("running", finished(), row("running"), True),
    ("running, reopened for the last attempt", finished(), row("running", 41), True),
    ("a run that succeeded and could not report it", finished("success", "Succeeded"), row("running"), True),
    ("provisional, after a kill", KILLED, row("failed", 49, **INTERRUPTED), True),
    ("provisional, whatever became of it", finished("success", "Succeeded"), row("failed", 19, **INTERRUPTED), True),
    ("provisional, without an end", KILLED, row("failed", None, **INTERRUPTED), True),
    ("an earlier attempt's failure", finished(), row("failed", 19, **steps("Postgres", "table")), True),
    ("an earlier attempt's success", finished(), row("success", 19), True),
    ("closed just before the last attempt", finished(), row("failed", 39.999), True),
    ("closed when the last attempt began", finished(), row("failed", 40), False),
    ("the workflow's failure in the last attempt", finished(), row("failed", 49, **steps("Postgres", "table")), False),
    ("the workflow's success, then the kernel", finished(), row("success", 49), False),
    ("the workflow's success, then a kill", KILLED, row("partialSuccess", 49), False),
    ("the parent's own word", finished(), row("failed", 49, **steps("Runner", "InitializationFailed")), False),
    ("interrupted, among the workflow's steps", KILLED, row("failed", 49, status=INTERRUPTED["status"] * 2), False),
    ("a step of that name without a result", KILLED, row("failed", 49, **steps("Runner")), False),
    ("steps in another shape", KILLED, row("failed", 49, status=["Runner"]), False),
    ("stopped by the server", finished(), row("stopped", 49), False),
    ("closed without an end", finished(), row("failed"), False),
    ("ours", finished(), row("failed", 49, **steps("Operator", "OutOfMemory")), False),
    ("ours, though it seems of old", finished(), row("failed", 1, **steps("Operator", "OutOfMemory")), False),
    ("a state of the future", finished(), row("paused", 49), False),
    ("a state of the future, of old", finished(), row("paused", 1), False),
    ("a last attempt that never started, after a failure", ONE_STARTED, row("failed", 20.9), True),
    ("a last attempt whose start was not seen", ONE_STARTED, row("failed", 21), False),
    ("a last attempt of which only the end was seen", ENDED_UNSEEN, row("failed", 49), False),
    ("a last attempt in the second in which the one before ended", AT_ONCE, row("failed", 20.5), False),
    ("the only attempt, whose start was not seen", UNSEEN, row("success", 10), False),
    ("no attempt at all", finished("failed", "JobDeleted", attempts=[]), row("success", 10), False),
    ("killed in the queue", finished("stopped", "Killed", attempts=[]), None, True),
    ("refused to start", REFUSED_START, None, False),
    ("refused to start, an empty answer", REFUSED_START, {}, False),
    ("refused to start, but a row is open", REFUSED_START, row("running"), True),
    ("refused to start, but a row without a state", REFUSED_START, row(None), True),
    ("refused to start after an interruption", REFUSED_START, row("failed", 19, **INTERRUPTED), True),
    ("refused to start after a failure", REFUSED_START, row("failed", 19), False),
]


@pytest.mark.parametrize(("run", "found", "due"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE])
def test_the_operator_writes_only_what_is_missing(run: Run, found: dict[str, Any] | None, due: bool) -> None:
    assert is_due(run, found) is due


STATES = st.sampled_from([None, "queued", "running", "paused", *FINISHED_STATES])
SECONDS = st.one_of(st.none(), st.integers(-100, 100))
STATUS = st.sampled_from([{}, INTERRUPTED, steps("Postgres", "table"), steps("Operator", "x"), {"status": None}])
ATTEMPTS = st.lists(
    st.builds(
        lambda number, start, end: Attempt(
            pod=f"p{number}",
            start_time=None if start is None else NOW + timedelta(seconds=start),
            end_time=None if end is None else NOW + timedelta(seconds=end),
        ),
        st.integers(0, 99),
        SECONDS,
        SECONDS,
    ),
    max_size=4,
)
REASONS = st.sampled_from(["Killed", "OutOfMemory", "OutsideSchedule", "Succeeded"])
RUNS = st.builds(
    lambda state, reason, attempts, end: finished(
        state, reason, attempts=attempts, end_time=NOW + timedelta(seconds=end)
    ),
    st.sampled_from(sorted(FINISHED_STATES)),
    REASONS,
    ATTEMPTS,
    st.integers(-100, 100),
)
ROWS = st.one_of(st.none(), st.builds(lambda state, ended, status: row(state, ended) | status, STATES, SECONDS, STATUS))
VERSIONS = st.sampled_from(["1.12", "1.13", "2.0", "2.1", "10.0"])


@given(RUNS, ROWS, VERSIONS, st.text(max_size=50))
def test_what_was_written_is_kept_ever_after(run: Run, found: Any, version: str, tail: str) -> None:
    assert not is_due(run, closed_row(run, found, server_version=version, log_tail=tail))


@pytest.mark.parametrize("state", [[], {}, ["running"], 7, True])
def test_a_state_that_is_not_a_word_is_left_alone(state: Any) -> None:
    """What a server answers must not end the reconciliation of its pipeline."""
    assert not is_due(finished("failed", "OutOfMemory"), row("failed") | {"pipelineState": state})


@given(RUNS, st.sampled_from(sorted(FINISHED_STATES)), st.integers(0, 100))
def test_a_row_closed_in_the_last_attempt_is_never_replaced(run: Run, state: str, later: int) -> None:
    began = max([a.start_time for a in run.attempts if a.start_time], default=NOW)
    ended = max([began, *(a.end_time + timedelta(seconds=1) for a in run.attempts if a.end_time)])
    closed = row(state, (ended - NOW).total_seconds() + later, **steps("Postgres", "table"))
    assert not is_due(run, closed)


@given(RUNS, ROWS)
def test_only_open_provisional_or_earlier_rows_are_replaced(run: Run, found: Any) -> None:
    if is_due(run, found) and found and found["pipelineState"] in FINISHED_STATES and not is_provisional(found):
        starts = [a.start_time for a in run.attempts if a.start_time]
        ends = [a.end_time + timedelta(seconds=1) for a in run.attempts[:-1] if a.end_time]
        assert found["endDate"] < epoch(max(starts + ends))


def written(run: Run, found: dict[str, Any] | None = None, version: str = "2.0", tail: str = "") -> dict[str, Any]:
    return closed_row(run, found, server_version=version, log_tail=tail)


def failure(of: dict[str, Any]) -> dict[str, Any]:
    (step,) = of["status"]
    (reported,) = step["failures"]
    return dict(reported)


def test_a_row_has_state_times_reason_pods_and_end_of_the_log() -> None:
    last = LAST.model_copy(update={"exit_code": 137, "reason": "OutOfMemory"})
    run = finished("failed", "OutOfMemory", FIRST, last, message="Pod b: out of memory")
    assert written(run, tail="one\ntwo") == {
        "runId": RUN_ID,
        "pipelineState": "failed",
        "startDate": epoch(NOW) + 1000,
        "timestamp": epoch(NOW),
        "endDate": epoch(NOW) + 50_000,
        "status": [
            {
                "name": "Operator",
                "records": 0,
                "warnings": 0,
                "errors": 1,
                "filtered": 0,
                "failures": [
                    {
                        "name": "OutOfMemory",
                        "error": "Pod b: out of memory\n"
                        "Attempt 1: pod a on node n1, 2026-03-01T12:00:01Z to 2026-03-01T12:00:20Z\n"
                        "Attempt 2: pod b on node n2, 2026-03-01T12:00:40Z to 2026-03-01T12:00:50Z, exit code 137, "
                        "OutOfMemory",
                        "stackTrace": "one\ntwo",
                    }
                ],
            }
        ],
    }


def test_known_fields_of_the_row_are_kept_and_unknown_ones_not() -> None:
    known = row("running", 41, startDate=5, timestamp=4, config={"a": 1}, metadata={"b": 2}, extra=3, status=None)
    made = written(finished(), known)
    assert (made["startDate"], made["timestamp"], made["config"], made["metadata"]) == (5, 4, {"a": 1}, {"b": 2})
    assert made["endDate"] == epoch(NOW) + 50_000
    assert made.keys() <= set(ROW_FIELDS)


@pytest.mark.parametrize("state", SUCCESSES)
def test_a_good_end_has_the_counts_and_no_failures(state: str) -> None:
    run = finished(state, "Succeeded", summary=RunSummary(records=7, warnings=2, errors=1))
    (step,) = written(run, tail="not shown")["status"]
    assert step == {"name": "Operator", "records": 7, "warnings": 2, "errors": 1, "filtered": 0}


def test_a_bad_end_keeps_what_was_counted() -> None:
    (step,) = written(finished(summary=RunSummary(records=7, warnings=2, errors=3)))["status"]
    assert (step["records"], step["warnings"], step["errors"]) == (7, 2, 3)


@pytest.mark.parametrize(
    ("version", "state"), [("1.12", "failed"), ("1.13", "failed"), ("2.0", "stopped"), ("10.1", "stopped")]
)
def test_a_killed_run_is_stopped_for_servers_that_know_the_word(version: str, state: str) -> None:
    made = written(KILLED, version=version)
    assert (made["pipelineState"], failure(made)["name"]) == (state, "Killed")


def test_the_last_lines_stay_after_the_pod_is_gone() -> None:
    provisional = row("failed", 49, **INTERRUPTED)
    assert failure(written(KILLED, provisional))["stackTrace"] == "the parent's last lines"
    assert failure(written(KILLED, provisional, tail="newer"))["stackTrace"] == "newer"
    assert "stackTrace" not in failure(written(KILLED, row("failed", 1, **steps("x", "y", stackTrace="old"))))


def test_an_attempt_that_never_started_is_reported_as_that() -> None:
    assert "Attempt 1: pod b, never started" in failure(written(finished("failed", "x", NEVER_STARTED)))["error"]


def test_an_attempt_with_an_unseen_end_is_reported_as_that() -> None:
    reported = failure(written(finished("failed", "JobDeleted", FIRST.model_copy(update={"end_time": None}))))["error"]
    assert "2026-03-01T12:00:01Z to an unknown end" in reported


def test_texts_are_bounded_and_keep_their_end() -> None:
    attempts = [FIRST.model_copy(update={"pod": f"pod-{n}-{'x' * 240}", "node": "n" * 253}) for n in range(32)]
    reported = failure(written(finished(attempts=attempts, message="m" * 1024), tail="x" * 99_999 + "the end"))
    assert len(reported["error"]) <= 8000
    assert f"Attempt 32: pod pod-31-{'x' * 240}" in reported["error"]
    assert "Attempt 22: " not in reported["error"]
    assert len(reported["stackTrace"]) == LOG_TAIL_CHARACTERS
    assert reported["stackTrace"].endswith("the end")


def test_characters_that_databases_refuse_are_left_out() -> None:
    reported = failure(written(finished(message="a\x00b"), tail="\x1b[31mred\x1b[0m\x00\r\n\tend"))
    assert reported["error"].startswith("ab\n")
    assert reported["stackTrace"] == "red\n\tend"
