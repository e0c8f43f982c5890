import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.runs.outcome import parse_outcome

GOOD = {"version": 1, "state": "success", "reason": "Succeeded"}


def test_the_runners_account_is_read() -> None:
    text = json.dumps(
        GOOD
        | {"message": "done", "records": 3, "warnings": 0, "errors": 1, "provisional": True, "runId": "x", "extra": [1]}
        | {"firstFailure": {"name": "table", "error": "no"}}
    )
    outcome = parse_outcome(text)
    assert outcome is not None
    assert (outcome.state, outcome.reason, outcome.message) == ("success", "Succeeded", "done")
    assert (outcome.records, outcome.warnings, outcome.errors, outcome.provisional) == (3, 0, 1, True)


def test_what_the_runner_did_not_know_is_left_open() -> None:
    outcome = parse_outcome(json.dumps(GOOD))
    assert outcome is not None
    assert (outcome.records, outcome.message, outcome.provisional) == (None, "", False)


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        " ",
        "Killed",
        "{",
        "null",
        "7",
        "[]",
        '"success"',
        "NaN",
        "{}",
        "[" * 4096,
        '{"a":' * 800,
        json.dumps(GOOD | {"version": 2}),
        json.dumps(GOOD | {"version": "1"}),
        json.dumps(GOOD | {"state": "great"}),
        json.dumps(GOOD | {"reason": "x" * 65}),
        json.dumps(GOOD | {"records": -1}),
        json.dumps(GOOD | {"records": 10**30}),
        json.dumps(GOOD | {"records": "3"}),
        '{"version":1,"state":"success","reason":"\\ud800"}',
        json.dumps({"version": 1, "state": "success"}),
        json.dumps(GOOD)[:-1],
    ],
)
def test_a_message_that_is_not_an_account_counts_as_none(message: str | None) -> None:
    assert parse_outcome(message) is None


@given(st.text(max_size=4096))
def test_any_text_is_read_without_failing(message: str) -> None:
    parse_outcome(message)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "records", "message", "firstFailure"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
            max_leaves=5,
        ),
    )
)
def test_any_json_object_is_read_without_failing(document: dict[str, Any]) -> None:
    parse_outcome(json.dumps(document))
    parse_outcome(json.dumps(GOOD | document))


@pytest.mark.parametrize(
    ("reported", "is_reported"),
    [
        ({}, False),
        ({"reportedBy": "none"}, False),
        ({"reportedBy": "workflow"}, True),
        ({"reportedBy": "runner"}, True),
        ({"reportedBy": "somebody of a later version"}, False),
        ({"reportedBy": "runner", "provisional": True}, False),
    ],
)
def test_the_server_has_an_end_that_was_reported_for_good(reported: dict[str, Any], is_reported: bool) -> None:
    outcome = parse_outcome(json.dumps(GOOD | reported))
    assert outcome is not None
    assert outcome.is_reported is is_reported
