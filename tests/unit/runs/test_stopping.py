"""What ends a Job, and which ones the annotation `kill` names."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.runs.jobs import read_job
from ingestion_operator.runs.stopping import invalid_kill_request, stop, to_kill
from testing.objects import NOW, Body, at, job, job_record

RUN = "0d9d4c1e-6a5e-4c5b-9b7e-0b1f0f1d2c3b"
JOBS = [
    job_record("old", created=-100, condition="Complete"),
    job_record("early", created=-60),
    job_record("just", created=0, suspended=True),
    job_record("late", created=30, run_id=RUN),
]


def stop_patch(body: Body, caller: str) -> Body | None:
    body["metadata"]["resourceVersion"] = "7"
    found = stop(read_job(body), caller, NOW)
    return found.patch if found else None


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("", []),
        (at(0), ["early", "just"]),
        ("2026-03-01T13:00:00+01:00", ["early", "just"]),
        (at(-61), []),
        (at(60), ["early", "just", "late"]),
        (RUN, ["late"]),
        (RUN.upper(), ["late"]),
        (f" {RUN} , {at(-60)},", ["early", "late"]),
        ("uid-late-1", []),
        ("all", []),
        (at(301), []),
    ],
    ids=["nothing", "until now", "another zone", "long ago", "a clock that is ahead", "an id", "in capitals", "both",
         "an id that is not there", "a word", "a moment to come"],
)  # fmt: skip
def test_the_annotation_names_runs_until_a_moment_or_by_id(wish: str, names: list[str]) -> None:
    assert [one.name for one in to_kill(wish, JOBS, NOW)] == names


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("", ""),
        (at(0), ""),
        (f"{RUN},{at(0)}", ""),
        ("all", "has 'all', which is neither a time nor a run id"),
        ("1772366400", "has '1772366400', which is neither"),
        ("2026-03-01T12:00:00", "has '2026-03-01T12:00:00', which"),
        (at(301), f"has '{at(301)}', which is in the future"),
        ("all,everything", "has 'all', which is neither a time nor a run id, 'everything', which is neither"),
    ],
)
def test_a_text_that_names_no_run_gets_a_fix(wish: str, words: str) -> None:
    text = invalid_kill_request(wish, NOW)
    assert text.startswith(words)
    assert bool(text) == bool(words)
    assert not text or '"$(date -u +%FT%TZ)"' in text


@given(st.text(max_size=100))
def test_no_text_ends_a_run_that_was_requested_later(wish: str) -> None:
    later = [job_record("later", created=400, uid="a-uid-that-is-not-used-by-chance")]
    assert to_kill(wish, later, NOW) == []
    assert isinstance(invalid_kill_request(wish, NOW), str)


@given(st.integers(-1000, 300), st.integers(0, 10**6))
def test_a_moment_never_names_a_run_that_came_later(moment: int, read: int) -> None:
    jobs = [job_record(f"j{created}", created=created) for created in range(-900, 600, 100)]
    names = [one.name for one in to_kill(at(moment), jobs, NOW + timedelta(seconds=read))]
    assert names == [f"j{created}" for created in range(-900, 600, 100) if created <= moment]


def test_a_running_job_gets_a_deadline_and_the_caller() -> None:
    patch = stop_patch(job(), "OpenMetadata")
    assert patch == {
        "metadata": {
            "resourceVersion": "7",
            "annotations": {constants.ANNOTATION_STOP: at(0), constants.ANNOTATION_STOPPED_BY: "OpenMetadata"},
        },
        "spec": {"activeDeadlineSeconds": 1},
    }


def test_the_first_caller_stays() -> None:
    annotated = job(suspended=True)
    annotated["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(-5)
    assert stop_patch(annotated, "another client") is None
    annotated["spec"]["suspend"] = False
    assert stop_patch(annotated, "another client") == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"activeDeadlineSeconds": 1},
    }
