"""How long Jobs of finished runs are kept."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.pipeline import History
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.runs.actions import DeleteJob
from ingestion_operator.runs.job_retention import expired_jobs
from ingestion_operator.runs.jobs import Job
from testing import objects

HISTORY = History(successful=2, failed=1)


def job(number: int, owner: str = constants.KIND) -> Job:
    return objects.job_record(f"job-{number:02}", created=number, owner="1", owner_kind=owner)


def run(number: int, state: str = "success", report: str | None = "Done") -> Run:
    return Run.model_validate(
        {
            "id": f"run-{number}", "job": f"job-{number:02}", "trigger": "manual", "state": state, "reason": "R",
            "message": "", "startTime": objects.at(number), "report": report,
        }
    )  # fmt: skip


def names(deletions: list[DeleteJob]) -> list[str]:
    return sorted(each.job.name for each in deletions)


def test_the_newest_of_each_kind_are_kept() -> None:
    jobs = [job(number) for number in range(6)]
    runs = [run(number, "success" if number % 2 else "failed") for number in range(6)]
    assert names(expired_jobs(jobs, runs, HISTORY)) == ["job-00", "job-01", "job-02"]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_under_way_is_never_removed(state: str) -> None:
    assert not expired_jobs([job(number) for number in range(9)], [run(number, state) for number in range(9)], HISTORY)


def test_a_run_that_is_not_recorded_is_never_removed() -> None:
    assert not expired_jobs([job(number) for number in range(9)], [], HISTORY)


def test_a_run_that_is_not_reported_is_not_removed() -> None:
    jobs = [job(number) for number in range(3)]
    runs = [run(0, report="Pending"), run(1), run(2)]
    assert not expired_jobs(jobs, runs, HISTORY)


def test_jobs_of_the_cronjob_are_left_to_its_controller() -> None:
    jobs = [job(0), job(1, "CronJob"), job(2, "CronJob"), job(3, "CronJob")]
    assert names(expired_jobs(jobs, [run(number) for number in range(4)], HISTORY)) == ["job-00"]


def test_a_limit_of_0_removes_jobs_of_the_cronjob_once_reported() -> None:
    jobs = [job(number, "CronJob") for number in range(4)]
    runs = [run(0), run(1, "failed"), run(2, report="Pending"), run(3, "success")]
    none = History.model_construct(successful=0, failed=5)
    assert names(expired_jobs(jobs, runs, none)) == ["job-00", "job-03"]
    assert names(expired_jobs(jobs, runs, History.model_construct(successful=5, failed=0))) == ["job-01"]


def test_a_job_that_is_going_is_not_asked_again() -> None:
    jobs = [job(number) for number in range(3)]
    jobs[0] = replace(jobs[0], is_deleting=True)
    assert not expired_jobs(jobs, [run(number) for number in range(3)], HISTORY)


@pytest.mark.parametrize(("report", "is_removed"), [("Pending", False), ("Done", True), ("Refused", True)])
@pytest.mark.parametrize("owner", [constants.KIND, "CronJob"])
def test_a_job_stopped_in_the_queue_goes_once_reported(report: str, owner: str, is_removed: bool) -> None:
    annotations = {constants.ANNOTATION_STOP: objects.at(5)}
    stopped = replace(job(1, owner), is_suspended=True, annotations=annotations)
    assert names(expired_jobs([stopped], [run(1, "stopped", report)], HISTORY)) == (["job-01"] if is_removed else [])
    growing = replace(stopped, annotations=annotations | {constants.ANNOTATION_NEXT_MEMORY_LIMIT: "1Gi"})
    assert expired_jobs([growing], [run(1, "stopped", report)], HISTORY) == []


@given(
    states=st.lists(st.sampled_from(["queued", "running", *sorted(FINISHED_STATES)]), max_size=12),
    successful=st.integers(0, 4),
    failed=st.integers(0, 4),
)
def test_never_more_is_kept_than_asked_for_and_never_less(states: list[str], successful: int, failed: int) -> None:
    jobs = [job(number) for number in range(len(states))]
    runs = [run(number, state) for number, state in enumerate(states)]
    history = History.model_construct(successful=successful, failed=failed)
    gone = set(names(expired_jobs(jobs, runs, history)))
    good = [number for number, state in enumerate(states) if state in ("success", "partialSuccess")]
    bad = [number for number, state in enumerate(states) if state in ("failed", "stopped")]
    kept = {
        *good[len(good) - min(successful, len(good)) :],
        *bad[len(bad) - min(failed, len(bad)) :],
        *(set(range(len(states))) - {*good, *bad}),
    }
    assert gone == {f"job-{number:02}" for number in set(range(len(states))) - kept}
