"""From raw samples to what a reconciliation, a run and a night cost; and which checkout is measured."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale import metrics
from benchmarks.scale.audit import Calls
from benchmarks.scale.night_figures import Night, Rest, cron, figures, first_tick, minutes_of
from benchmarks.scale.subject import OPERATOR_MODULE, VARIABLE, Subject
from benchmarks.scale.work import Work, per_reconcile, per_run
from ingestion_operator.runs.outcome import parse_outcome
from testcluster.errors import TestClusterError
from testcluster.locations import CHECKOUT
from testing.pod_status import ended, running

FIRST = datetime(2026, 1, 1, 23, 50, tzinfo=UTC)
LAST = datetime(2100, 1, 1)  # noqa: DTZ001  hypothesis adds the zone
POD = {"spec": {"containers": [{"name": "ingestion", "image": "runner:1"}]}}


def test_a_metric_is_the_sum_over_its_labels() -> None:
    text = (
        "# HELP pipelines Pipelines.\n# TYPE pipelines gauge\n"
        'pipelines{ready="true",reason="Up To Date"} 7.0\npipelines{ready="false",reason="InvalidSpec"} 2.0\n'
        "pipelines_seconds 5.0\nreconciles_total 12.0\n"
    )
    assert (metrics.total(text, "pipelines"), metrics.total(text, "reconciles_total")) == (9.0, 12.0)
    assert metrics.total(text, "pipe") is None


def test_reads_are_gets_and_lists_over_all_phases() -> None:
    calls = Calls(Counter({("get", "secrets"): 3, ("list", "jobs"): 1, ("patch", "jobs"): 2, ("get", "leases"): 9}))
    work = Work.of(calls, 4)
    assert work == Work(gets=3, lists=1, writes=2, reconciles=4)
    assert per_reconcile([work, Work(reconciles=4)]) == {"reads_per_reconcile": 0.5, "lists_per_reconcile": 0.125}
    assert per_reconcile([Work(gets=1)]) == {}


def test_requests_of_a_run_are_its_reads_and_writes() -> None:
    assert per_run(Work(gets=10, lists=20, writes=30, reconciles=50), 10, "night_") == {
        "night_requests_per_run": 6.0,
        "night_writes_per_run": 3.0,
        "night_reconciles_per_run": 5.0,
    }


def _night(**changes: object) -> dict[str, float]:
    given = {
        "with_operator": Night(core_seconds=400.0, seconds=780.0, idle_seconds=156.0),
        "without": Night(core_seconds=300.0, seconds=780.0, idle_seconds=600.0),
        "runs": 1000,
        "work": Work(gets=1000, writes=7000, reconciles=9000),
        "requests": 10_000,
        "ordinary": 8.0,
        "rest": Rest(requests=10, seconds=36.0),
        "cores": 2,
    }
    return figures(**(given | changes))  # type: ignore[arg-type]


def test_a_night_costs_what_it_costs_more_than_without() -> None:
    found = _night()
    assert (found["night_with_operator_core_s"], found["night_without_operator_core_s"]) == (400.0, 300.0)
    assert (found["night_difference_core_s"], found["night_minutes"]) == (100.0, 13.0)
    assert (found["night_requests_per_run"], found["night_unmerged_core_s"]) == (8.0, 100.0)
    assert found["night_idle_percent"] == 10.0


def test_merged_events_are_charged_at_the_ordinary_rate() -> None:
    assert _night(ordinary=12.0)["night_unmerged_core_s"] == 150.0
    assert _night(ordinary=4.0)["night_unmerged_core_s"] == 100.0
    assert _night(work=Work())["night_unmerged_core_s"] == 100.0


def test_the_rest_of_eight_hours_is_charged_by_request() -> None:
    # 1,000 requests an hour at 10 ms each, over eight hours less 13 minutes
    assert _night()["night_rest_core_s"] == pytest.approx(77.8, abs=0.05)
    assert _night(without=Night(401.0, 780.0, 0.0))["night_rest_core_s"] == 0


@given(st.integers(1, 20_000))
def test_each_pipeline_fires_once_and_no_minute_is_crowded(size: int) -> None:
    crons = [cron(FIRST, number, size) for number in range(size)]
    ticks = {f"{at.minute} {at.hour} * * *": at for at in (FIRST + timedelta(minutes=n) for n in range(90))}
    found = Counter(ticks[one] for one in crons)
    assert found.keys() == {FIRST + timedelta(minutes=minute) for minute in range(minutes_of(size))}
    assert max(found.values()) <= 300


@given(st.integers(0, 20_000), st.datetimes(timezones=st.just(UTC), max_value=LAST))
def test_a_night_begins_at_a_whole_minute_after_its_preparation(size: int, now: datetime) -> None:
    first = first_tick(now, size)
    assert (first.second, first.microsecond) == (0, 0)
    assert 60 + 0.06 * size < (first - now).total_seconds() <= 120 + 0.06 * size


@pytest.mark.parametrize(("success", "phase", "code"), [(True, "Succeeded", 0), (False, "Failed", 1)])
def test_a_pod_ends_as_the_runner_ends_it(success: bool, phase: str, code: int) -> None:
    status = ended(POD, "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z", success=success)
    (container,) = status["containerStatuses"]
    state = container["state"]["terminated"]
    assert (status["phase"], state["exitCode"], container["ready"]) == (phase, code, False)
    outcome = parse_outcome(state["message"])
    assert outcome is not None
    assert (outcome.state == "success", outcome.reported_by) == (success, "workflow")


def test_a_running_pod_has_no_end() -> None:
    status = running(POD, "2026-01-01T00:00:00Z")
    assert (status["phase"], status["containerStatuses"][0]["ready"]) == ("Running", True)
    assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def test_this_checkout_is_measured_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    subject = Subject.named()
    assert (subject.checkout, subject.is_other) == (CHECKOUT, False)
    assert subject.program(OPERATOR_MODULE, "--one") == ("-m", "ingestion_operator", "--one")


def test_a_folder_that_is_not_a_checkout_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(TestClusterError, match="is not a checkout of this project"):
        Subject.named()


def test_another_checkout_runs_its_own_program(tmp_path: Path) -> None:
    package = tmp_path / "operator" / "ingestion_operator"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys\nprint(sys.argv[1:], __file__)\n")
    program = Subject(tmp_path).program(OPERATOR_MODULE, "--one")
    command = [sys.executable, *program, "--two"]
    environment = {"PYTHONPATH": str(CHECKOUT / "operator")}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed == f"['--one', '--two'] {package / '__main__.py'}\n"
