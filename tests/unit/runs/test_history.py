from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES, Attempt, Run, RunTarget
from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.k8s.timestamps import parse_timestamp
from ingestion_operator.runs import history
from ingestion_operator.runs.history import missing_jobs, owned, recorded
from testing.objects import NOW, Body, at, job, job_record, job_records, pod, pod_records


def runs_of(
    jobs: Sequence[Body], pods: Sequence[Body], known: Sequence[Run], now: datetime = NOW, *, replaces: bool = False
) -> list[Run]:
    """All runs; a Job that is not listed is confirmed not to exist."""
    found = job_records(jobs)
    gone = missing_jobs(found, known)
    return history.runs_of(found, pod_records(pods), known, now, gone=gone, replaces=replaces)


def record(jobs: Sequence[Body], pods: Sequence[Body], known: Sequence[Run], now: datetime = NOW) -> list[Run]:
    """What a reconciliation writes into the status."""
    return recorded(runs_of(jobs, pods, known, now))


STATES = st.sampled_from(["queued", "running", "success", "partialSuccess", "failed", "stopped"])
REPORTS = st.sampled_from([None, "Pending", "Done", "Done", "Refused"])


@st.composite
def known_runs(draw: st.DrawFn) -> list[Run]:
    """Runs as an earlier status may hold them, newest first."""
    numbers = draw(st.lists(st.integers(0, 40), unique=True, max_size=STATUS_RUNS_LIMIT))
    return [_known(number, draw(STATES), draw(REPORTS)) for number in sorted(numbers, reverse=True)]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Body], list[Body]]:
    """Jobs and their pods, in any order and any state."""
    jobs, pods = [], []
    for number in draw(st.lists(st.integers(0, 40), unique=True, max_size=30)):
        condition = draw(st.sampled_from([None, None, "Complete", "Failed"]))
        suspended = condition is None and draw(st.booleans())
        jobs.append(
            job(f"j{number}", created=number * 60, condition=condition, ended=number * 60 + 50, suspended=suspended)
        )
        for attempt in range(draw(st.integers(0, 2))):
            words: dict[str, Any] = draw(st.sampled_from([{}, {"running": True}, {"exit_code": 1}, {"exit_code": 0}]))
            pods.append(pod(f"j{number}-{attempt}", of=f"j{number}", created=number * 60 + attempt, **words))
    return jobs, draw(st.permutations(pods))


def _known(number: int, state: Any, report: Any = "Done", attempts: list[Attempt] | None = None) -> Run:
    start = parse_timestamp(at(number * 60))
    assert start is not None
    return Run(
        id=f"uid-j{number}",
        job=f"j{number}",
        trigger="scheduled",
        state=state,
        reason="Known",
        message="as recorded",
        start_time=start,
        end_time=start + timedelta(seconds=50) if state in FINISHED_STATES else None,
        attempts=attempts or [],
        report=report if state in FINISHED_STATES else None,
    )


@given(clusters(), known_runs())
def test_all_runs_are_there_newest_first_each_once(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    runs = runs_of(*cluster, known)
    assert [run.start_time for run in runs] == sorted((run.start_time for run in runs), reverse=True)
    assert len({run.id for run in runs}) == len(runs)
    ids = {run.id for run in known} | {one["metadata"]["uid"] for one in cluster[0]}
    assert len(known) == STATUS_RUNS_LIMIT or {run.id for run in runs} == ids


@given(clusters(), known_runs())
def test_the_status_has_room_for_20_runs(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    runs = runs_of(*cluster, known)
    kept = recorded(runs)
    assert len(kept) == min(len(runs), STATUS_RUNS_LIMIT)
    assert kept == [run for run in runs if run in kept]
    assert recorded(kept) == kept


def _states(runs: Sequence[Run]) -> list[str]:
    return [f"{run.job} {run.report or run.state}" for run in runs]


def test_what_is_recorded_is_chosen_by_what_it_is_needed_for() -> None:
    running = [_known(number, "running") for number in (0, 90)]
    queued = [_known(number, "queued") for number in range(50, 65)]
    due = [_known(number, "failed", "Pending") for number in (10, 20)]
    done = [_known(number, "success") for number in range(30, 35)]
    kept = recorded([*done, *queued, *due, *running])
    numbers = [90, *range(64, 49, -1), 34, 20, 10, 0]
    assert [run.job for run in kept] == [f"j{number}" for number in numbers]
    many = recorded([*done, *(_known(number, "queued") for number in range(50, 80)), *due, *running])
    assert [run.job for run in many] == [f"j{number}" for number in [90, *range(64, 49, -1), 34, 20, 10, 0]]
    all_due = recorded([*done, *(_known(number, "failed", "Pending") for number in range(50, 80)), *running])
    assert [run.job for run in all_due] == [f"j{number}" for number in [90, *range(66, 49, -1), 34, 0]]
    assert len(recorded([_known(number, "running") for number in range(30)])) == STATUS_RUNS_LIMIT


def test_reports_go_on_while_many_runs_are_under_way() -> None:
    runs = [_known(99, "failed", "Pending"), *(_known(number, "running") for number in range(30, 0, -1))]
    assert "j99 Pending" in _states(recorded(runs))


@given(clusters(), known_runs())
def test_a_finished_run_stays_as_it_was_recorded(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    finished = {run.id: run for run in known if run.state in FINISHED_STATES}
    for run in runs_of(*cluster, known, NOW):
        assert run == finished.get(run.id, run)


@given(clusters(), known_runs(), st.integers(0, 1000))
def test_reading_the_same_cluster_again_changes_nothing(
    cluster: tuple[list[Body], list[Body]], known: list[Run], seconds: int
) -> None:
    once = record(*cluster, record(*cluster, known))
    assert record(*cluster, once, NOW + timedelta(seconds=seconds)) == once


@given(clusters(), known_runs(), st.randoms())
def test_the_order_of_listing_does_not_matter(
    cluster: tuple[list[Body], list[Body]], known: list[Run], random: Any
) -> None:
    jobs, pods = cluster
    shuffled = random.sample(jobs, len(jobs)), random.sample(pods, len(pods))
    assert runs_of(*shuffled, known, NOW) == runs_of(jobs, pods, known, NOW)


def test_all_runs_under_way_are_there_at_200() -> None:
    jobs = [job(f"r{number}", created=number) for number in range(100)]
    jobs += [job(f"q{number}", created=number, suspended=True) for number in range(100)]
    pods = [pod(f"r{number}-a", of=f"r{number}", running=True) for number in range(100)]
    runs = runs_of(jobs, pods, recorded(runs_of(jobs, pods, [])))
    assert Counter(run.state for run in runs) == {"running": 100, "queued": 100}


@given(known_runs())
def test_a_run_whose_job_does_not_exist_has_failed(known: list[Run]) -> None:
    for before, after in zip(known, runs_of([], [], known), strict=True):
        if before.state in FINISHED_STATES:
            assert after == before
        else:
            assert (after.state, after.reason, after.end_time) == ("failed", "JobDeleted", NOW)
            assert after.report == "Pending"
            assert before.job in after.message


@given(known_runs())
def test_a_job_that_is_missing_is_confirmed_first(known: list[Run]) -> None:
    assert history.runs_of([], [], known, NOW, gone=()) == known
    unfinished = [run.job for run in known if run.state not in FINISHED_STATES]
    assert missing_jobs([], known) == unfinished
    assert missing_jobs([job_record(name) for name in unfinished], known) == []


def test_a_run_that_continues_in_another_job_is_not_missing() -> None:
    (known,) = runs_of([job("one", run_id="r")], [pod("a", of="one", running=True)], [])
    assert missing_jobs([job_record("two", run_id="r")], [known]) == []


@pytest.mark.parametrize("has_newer", [True, False])
def test_with_replace_a_deleted_job_was_replaced_by_a_newer_one(*, has_newer: bool) -> None:
    known = runs_of([job("old")], [pod(of="old", running=True)], [])
    jobs = [job("newer", created=60), job("newest", created=90)] if has_newer else []
    run = runs_of(jobs, [], known, replaces=True)[-1]
    assert (run.state, run.reason, run.end_time, run.report) == (
        *(("stopped", "Replaced") if has_newer else ("failed", "JobDeleted")), NOW, "Pending",
    )  # fmt: skip
    assert "Job old" in run.message if not has_newer else "the newer run uid-newer," in run.message
    assert runs_of(jobs, [], known)[-1].reason == "JobDeleted"


def test_with_replace_a_deleting_job_ends_with_its_pod() -> None:
    old = job("old")
    old["metadata"]["deletionTimestamp"] = at(60)
    for pods, state in (([pod(of="old", running=True)], "running"), ([], "stopped")):
        assert runs_of([old, job("new", created=60)], pods, [], replaces=True)[-1].state == state
    done = [pod(of="old", exit_code=0)]
    assert runs_of([old, job("new", created=60)], done, [], replaces=True)[-1].state == "success"


def test_only_jobs_of_the_pipeline_and_its_cronjob_are_its_runs() -> None:
    jobs = [
        job_record("requested", owner="of-pipeline"),
        job_record("scheduled", owner="of-cronjob", owner_kind="CronJob"),
        job_record("of-the-pipeline-before", owner="old"),
        job_record("without-owner"),
    ]
    assert [one.name for one in owned(jobs, "of-pipeline", "of-cronjob")] == ["requested", "scheduled"]
    assert [one.name for one in owned(jobs, "of-pipeline", None)] == ["requested"]


def test_the_target_of_a_run_is_its_jobs() -> None:
    target = RunTarget.model_validate(
        {
            "hostPort": "http://before:8585/api",
            "verifySSL": "no-ssl",
            "service": {"type": "databaseService", "name": "a"},
            "fullyQualifiedName": "a.nightly",
        }
    )
    found = replace(job_record(), target=target)
    (run,) = history.runs_of([found], [], [], NOW, gone=())
    assert run.target == target
    assert history.runs_of([], [], [run], NOW, gone=[run.job])[0].target == target


def test_attempts_outlive_their_pods() -> None:
    first = runs_of([job(backoff_limit=2)], [pod("a", exit_code=1)], [], NOW)
    second = runs_of([job(backoff_limit=2)], [pod("b", created=9, running=True)], first, NOW)
    third = runs_of([job(condition="Complete")], [], second, NOW)
    assert [attempt.pod for attempt in second[0].attempts] == ["a", "b"]
    assert second[0].attempts[0].exit_code == 1
    assert [attempt.pod for attempt in third[0].attempts] == ["a", "b"]


def test_a_run_keeps_no_more_attempts_than_the_status_takes() -> None:
    known = [_known(1, "running", attempts=[Attempt(pod=f"old-{n}") for n in range(ATTEMPTS_LIMIT)])]
    (run,) = runs_of([job("j1", created=60)], [pod("new", of="j1", created=61, running=True)], known, NOW)
    assert len(run.attempts) == ATTEMPTS_LIMIT
    assert run.attempts[-1].pod == "new"


def test_runs_of_the_same_second_keep_their_order() -> None:
    jobs = [job(name) for name in ("a", "c", "b")]
    orders = [[run.job for run in runs_of(listed, [], [], NOW)] for listed in (jobs, jobs[::-1])]
    assert orders == [["c", "b", "a"], ["c", "b", "a"]]


def test_pods_of_another_job_or_of_none_are_left_out() -> None:
    orphan = pod("orphan", running=True)
    del orphan["metadata"]["ownerReferences"]
    (run,) = runs_of([job()], [pod("other", of="nightly-2", running=True), orphan], [], NOW)
    assert run.attempts == []
    assert run.state == "queued"


def test_jobs_with_the_same_run_id_are_one_run() -> None:
    jobs = [job("one", run_id="r", condition="Failed"), job("two", created=9, run_id="r")]
    assert [run.id for run in runs_of(jobs, [], [], NOW)] == ["r"]


@given(clusters(), known_runs())
def test_reports_come_to_an_end(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    """However many Jobs there are, a run that was reported and left the list does not come back to be reported."""
    reports = Counter[str]()
    runs = record(*cluster, known)
    for _ in range(60):
        due = [run.id for run in runs if run.is_unreported]
        if not due:
            assert max(reports.values(), default=1) == 1
            return
        reports.update(due)
        seen = runs_of(*cluster, runs)
        runs = recorded([run.model_copy(update={"report": "Done"}) if run.id in due else run for run in seen])
        runs = record(*cluster, runs)
    raise AssertionError("runs come back for ever")


def test_a_due_report_outlasts_newer_reported_runs() -> None:
    due = _known(0, "failed", "Pending")
    known = [*(_known(number, "success") for number in range(19, 0, -1)), due]
    for number in range(20, 50):
        ended = number * 60 + 50
        known = record([job(f"j{number}", created=number * 60, condition="Complete", ended=ended)], [], known)
        known = [run if run.id == due.id else run.model_copy(update={"report": "Done"}) for run in known]
    assert [run.id for run in known] == [*(f"uid-j{number}" for number in range(49, 30, -1)), due.id]


def test_a_run_that_left_a_full_list_is_not_taken_for_a_new_one() -> None:
    jobs = [job(f"j{n}", created=n * 60, condition="Complete", ended=n * 60 + 50) for n in range(25)]
    known = [_known(number, "success") for number in range(24, 4, -1)]
    assert runs_of(jobs, [], known) == known


def test_a_run_that_is_new_to_a_full_list_is_reported() -> None:
    known = [_known(number, "success") for number in range(20, 0, -1)]
    runs = record([job("j21", created=21 * 60, condition="Complete", ended=21 * 60 + 50)], [], known)
    assert [run.report for run in runs][:2] == ["Pending", "Done"]
    assert [run.id for run in runs] == ["uid-j21", *(run.id for run in known[:-1])]


def test_a_long_run_without_a_record_is_new_by_its_end() -> None:
    known = [_known(number, "success") for number in range(30, 10, -1)]
    started_before_all = job("j1", created=60, condition="Complete", ended=9999)
    assert "j1 Pending" in _states(record([started_before_all], [], known))


def test_a_stop_by_a_clock_that_is_behind_is_still_reported() -> None:
    known = [_known(number, "success") for number in range(30, 10, -1)]
    stopped = job("j1", created=60, suspended=True)
    stopped["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(61)
    assert "j1 Pending" in _states(record([stopped], [], known))


def test_an_attempt_gets_its_end_until_the_run_is_reported() -> None:
    killed = job(condition="FailureTarget", reason="DeadlineExceeded", ended=30)
    killed["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(29)
    known = runs_of([killed], [pod(running=True, node_lost=True)], [], NOW)
    (run,) = runs_of([killed], [pod(exit_code=143, ended=55)], known, NOW)
    assert (known[0].state, known[0].attempts[0].exit_code) == ("stopped", None)
    assert (run.state, run.end_time, run.attempts[0].exit_code) == ("stopped", known[0].end_time, 143)
    done = [known[0].model_copy(update={"report": "Done"})]
    assert runs_of([killed], [pod(exit_code=143, ended=55)], done, NOW) == done
    assert runs_of([], [pod(exit_code=143, ended=55)], known, NOW) == [run]
