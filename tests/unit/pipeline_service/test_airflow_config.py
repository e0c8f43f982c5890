from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator.api.pipeline import PipelineSpec
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.schedule import duration_seconds
from ingestion_operator.pipeline_service.airflow_config import Timing, timing
from ingestion_operator.pipeline_service.entity import AirflowConfig
from testing.entities import airflow
from testing.objects import NOW, spec

LONGEST_SECONDS = 365 * 86400


def read(unit: Literal["seconds", "days"] = "seconds", **changes: Any) -> Timing:
    raw = airflow(**changes)
    return timing(AirflowConfig.model_validate(raw), raw, unit, NOW)


def schedule(**changes: Any) -> dict[str, Any]:
    found = read(**changes).schedule
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "cron"),
    [
        ("0 2 * * *", "0 2 * * *"),
        (" 0  2 * * * ", "0 2 * * *"),
        ("@daily", "@daily"),
        ("@quarterly", "0 0 1 */3 *"),
        ("*/5 8-18 * jan mon-fri", "*/5 8-18 * jan mon-fri"),
    ],
)
def test_a_schedule_that_kubernetes_can_keep_is_taken_over(given: str, cron: str) -> None:
    assert schedule(scheduleInterval=given)["cron"] == cron


@pytest.mark.parametrize("given", ["@once", "0 2 * *", "0 0 2 * * *", "daily", "0 2 31 2 x", "@every 1h", "61 * * * *"])
def test_a_schedule_that_nothing_can_keep_is_refused_by_name(given: str) -> None:
    with pytest.raises(Rejected, match=r"Invalid parameter value for 'airflowConfig\.scheduleInterval'"):
        read(scheduleInterval=given)


@pytest.mark.parametrize("given", [None, "", "  "])
def test_without_an_interval_a_pipeline_runs_on_demand(given: str | None) -> None:
    assert read(scheduleInterval=given).schedule is None


def test_an_unknown_time_zone_is_refused_by_name() -> None:
    with pytest.raises(Rejected, match=r"airflowConfig\.pipelineTimezone.*Mars/Base"):
        read(pipelineTimezone="Mars/Base")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2024-05-20T00:00:00.000000Z", "2024-05-20T00:00:00Z"),
        ("2024-05-20T02:00:00+02:00", "2024-05-20T00:00:00Z"),
        ("2024-05-20", "2024-05-20T00:00:00Z"),
        ("2024-05-20T00:00:00", "2024-05-20T00:00:00Z"),
        (1716163200000, "2024-05-20T00:00:00Z"),
    ],
)
def test_a_date_is_taken_in_every_form_that_servers_send(given: Any, written: str) -> None:
    assert schedule(startDate=given)["startDate"] == written


def test_a_window_that_ends_before_it_begins_is_refused_by_name() -> None:
    with pytest.raises(Rejected, match=r"airflowConfig\.endDate"):
        read(startDate="2026-01-02", endDate="2026-01-01")


@pytest.mark.parametrize(("runs", "tasks", "limit"), [(1, 1, 1), (3, 1, 1), (1, 3, 1), (3, 2, 2), (500, 500, 100)])
def test_runs_are_limited_by_the_smaller_of_the_two_limits(runs: int, tasks: int, limit: int) -> None:
    assert read(maxActiveRuns=runs, concurrency=tasks).max_active_runs == limit


@pytest.mark.parametrize(
    ("unit", "given", "timeout"),
    [
        ("seconds", 60, "60s"),
        ("seconds", 3600, "3600s"),
        ("days", 2, "2d"),
        ("seconds", 1_000_000, "16667m"),
        ("seconds", None, None),
    ],
)
def test_a_timeout_is_seconds_unless_set_to_days(
    unit: Literal["seconds", "days"], given: int | None, timeout: str | None
) -> None:
    found = read(unit, workflowTimeout=given).timeout
    assert (found and duration_seconds(found)) == (timeout and duration_seconds(timeout))


@given(st.integers(1, LONGEST_SECONDS))
def test_a_timeout_is_never_shorter_than_asked(seconds: int) -> None:
    timeout = read(workflowTimeout=seconds).timeout
    assert timeout is not None
    assert 0 <= duration_seconds(timeout) - seconds < 86400


@pytest.mark.parametrize(("unit", "given"), [("seconds", LONGEST_SECONDS + 1), ("days", 366)])
def test_a_timeout_of_more_than_a_year_is_refused(unit: Literal["seconds", "days"], given: int) -> None:
    with pytest.raises(Rejected, match=rf"workflowTimeout.*{given} {unit} is more than 365 days"):
        read(unit, workflowTimeout=given)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, []),
        ({"email": "ada@example.org"}, ["airflowConfig.email"]),
        ({"retryDelay": 60}, ["airflowConfig.retryDelay"]),
        ({"pipelineCatchup": True}, ["airflowConfig.pipelineCatchup"]),
        ({"retries": 11}, ["airflowConfig.retries (above 10)"]),
        ({"maxActiveRuns": 101, "concurrency": 101}, ["airflowConfig.maxActiveRuns (above 100)"]),
        ({"brandNewKey": 1}, ["airflowConfig.brandNewKey"]),
        ({"scheduleInterval": None}, []),
        ({"scheduleInterval": None, "endDate": "2030-01-01"}, ["airflowConfig.endDate (without scheduleInterval)"]),
        ({"scheduleInterval": None, "startDate": "2030-01-01"}, ["airflowConfig.startDate (without scheduleInterval)"]),
    ],
)
def test_what_is_asked_for_in_vain_is_named_and_nothing_else(changes: dict[str, Any], named: list[str]) -> None:
    assert read(**changes).ignored_fields == named


@given(
    st.builds(
        dict,
        retries=st.integers(0, 50),
        maxActiveRuns=st.integers(1, 500),
        concurrency=st.integers(1, 500),
        scheduleInterval=st.sampled_from([None, "@hourly", "@quarterly", "5 4 * * 7"]),
        pipelineTimezone=st.sampled_from(["UTC", "Europe/Zurich", "Asia/Kolkata"]),
        startDate=st.integers(0, 2_500_000_000_000),
        workflowTimeout=st.none() | st.integers(1, LONGEST_SECONDS),
    )
)
def test_whatever_is_taken_makes_a_spec_that_is_valid(changes: dict[str, Any]) -> None:
    found = read(**changes)
    schedule = {key: value for key, value in (found.schedule or {}).items() if value is not None} or None
    PipelineSpec.model_validate(
        spec(
            schedule=schedule,
            retry={"limit": found.retry_limit},
            timeout=found.timeout,
            concurrency={
                "policy": "Allow" if found.max_active_runs > 1 else "Forbid",
                "maxActiveRuns": found.max_active_runs,
            },
        )
    )


def test_a_start_in_the_past_is_fine() -> None:
    past = (NOW - timedelta(days=900)).isoformat()
    assert schedule(startDate=past)["startDate"]
