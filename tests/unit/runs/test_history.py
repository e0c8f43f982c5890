from datetime import timedelta
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.constants import ATTEMPTS_LIMIT, STATUS_RUNS_LIMIT
from ingestion_operator.models.status import FINISHED_STATES, Attempt, Run
from ingestion_operator.models.types import parse_timestamp
from ingestion_operator.runs.history import runs_of
from tests.support.objects import NOW, Body, at, job, pod

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
        jobs.append(job(f"j{number}", created=number * 60, condition=condition, suspended=draw(st.booleans())))
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
        end_time=NOW if state in FINISHED_STATES else None,
        attempts=attempts or [],
        report=report if state in FINISHED_STATES else None,
    )


def _is_contradicted(run: Run, jobs: list[Body]) -> bool:
    """Tell whether a run is recorded as finished whose Job is not, which Kubernetes does not do."""
    (state,) = {one.state for one in runs_of(jobs, [], [], NOW) if one.id == run.id} or {run.state}
    return run.state in FINISHED_STATES and state not in FINISHED_STATES


@given(clusters(), known_runs())
def test_history_has_at_most_20_runs_newest_first_each_once(
    cluster: tuple[list[Body], list[Body]], known: list[Run]
) -> None:
    runs = runs_of(*cluster, known, NOW)
    assert len(runs) <= STATUS_RUNS_LIMIT
    assert [run.start_time for run in runs] == sorted((run.start_time for run in runs), reverse=True)
    assert len({run.id for run in runs}) == len(runs)


@given(clusters(), known_runs())
def test_a_finished_run_stays_as_it_was_recorded(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    recorded = {run.id: run for run in known if run.state in FINISHED_STATES}
    for run in runs_of(*cluster, known, NOW):
        assert run == recorded.get(run.id, run)


@given(clusters(), known_runs(), st.integers(0, 1000))
def test_looking_again_at_the_same_cluster_changes_nothing(
    cluster: tuple[list[Body], list[Body]], known: list[Run], seconds: int
) -> None:
    jobs, pods = cluster
    known = [run for run in known if not _is_contradicted(run, jobs)]
    once = runs_of(jobs, pods, known, NOW)
    # A reported run that had to make room for 20 unreported ones is seen anew: see the tests of reports below.
    assume({run.id for run in known if run.report in ("Done", "Refused")} <= {run.id for run in once})
    assert runs_of(jobs, pods, once, NOW + timedelta(seconds=seconds)) == once


@given(clusters(), known_runs(), st.randoms())
def test_the_order_of_listing_does_not_matter(
    cluster: tuple[list[Body], list[Body]], known: list[Run], random: Any
) -> None:
    jobs, pods = cluster
    shuffled = random.sample(jobs, len(jobs)), random.sample(pods, len(pods))
    assert runs_of(*shuffled, known, NOW) == runs_of(jobs, pods, known, NOW)


@given(clusters(), known_runs())
def test_active_runs_are_not_pushed_out_by_finished_ones(
    cluster: tuple[list[Body], list[Body]], known: list[Run]
) -> None:
    runs = runs_of(*cluster, known, NOW)
    finished_before = {run.id for run in known if run.state in FINISHED_STATES}
    everything = [runs_of([one], cluster[1], [], NOW)[0] for one in cluster[0]]
    active = {run.id for run in everything if run.state not in FINISHED_STATES} - finished_before
    shown = {run.id for run in runs if run.state not in FINISHED_STATES}
    assert shown <= active
    assert len(shown) == min(len(active), STATUS_RUNS_LIMIT)


@given(clusters(), known_runs())
def test_no_run_is_lost_while_there_is_room(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    ids = {run.id for run in known} | {one["metadata"]["uid"] for one in cluster[0]}
    assert len(runs_of(*cluster, known, NOW)) == min(len(ids), STATUS_RUNS_LIMIT)


@given(known_runs())
def test_a_run_whose_job_is_gone_before_it_ended_has_failed(known: list[Run]) -> None:
    for before, after in zip(known, runs_of([], [], known, NOW), strict=True):
        if before.state in FINISHED_STATES:
            assert after == before
        else:
            assert (after.state, after.reason, after.end_time) == ("failed", "JobDeleted", NOW)
            assert after.report == "Pending"
            assert before.job in after.message


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


def test_runs_of_the_same_second_keep_their_order_whatever_the_order_of_listing() -> None:
    jobs = [job(name) for name in ("a", "c", "b")]
    orders = [[run.job for run in runs_of(listed, [], [], NOW)] for listed in (jobs, jobs[::-1])]
    assert orders == [["c", "b", "a"], ["c", "b", "a"]]


def test_pods_of_another_job_or_of_none_are_left_out() -> None:
    orphan = pod("orphan", running=True)
    del orphan["metadata"]["ownerReferences"]
    (run,) = runs_of([job()], [pod("other", of="nightly-2", running=True), orphan], [], NOW)
    assert run.attempts == []
    assert run.state == "queued"


def test_a_job_that_is_recreated_under_the_same_run_id_stays_one_run() -> None:
    jobs = [job("one", run_id="r", condition="Failed"), job("two", created=9, run_id="r")]
    assert [run.id for run in runs_of(jobs, [], [], NOW)] == ["r"]


@given(clusters(), known_runs())
def test_a_report_that_is_due_is_pushed_out_only_by_active_runs_and_newer_ones_that_are_due(
    cluster: tuple[list[Body], list[Body]], known: list[Run]
) -> None:
    runs = runs_of(*cluster, known, NOW)
    kept = {run.id for run in runs}
    first = [run for run in runs if run.state not in FINISHED_STATES or run.is_unreported]
    for lost in (run for run in known if run.is_unreported and run.id not in kept):
        assert len(first) == STATUS_RUNS_LIMIT
        assert all(run.start_time > lost.start_time for run in first if run.is_unreported)


@given(clusters(), known_runs())
def test_reports_come_to_an_end(cluster: tuple[list[Body], list[Body]], known: list[Run]) -> None:
    """However many Jobs there are, a run that was reported and pushed out does not come back to be reported."""
    runs = runs_of(*cluster, known, NOW)
    for _ in range(STATUS_RUNS_LIMIT):
        runs = [run.model_copy(update={"report": "Done"}) if run.is_unreported else run for run in runs]
        again = runs_of(*cluster, runs, NOW)
        if again == runs:
            return
        runs = again
    raise AssertionError("runs come back for ever")


def test_a_report_that_is_due_outlasts_newer_runs_that_are_reported() -> None:
    due = _known(0, "failed", "Pending")
    known = [*(_known(number, "success") for number in range(19, 0, -1)), due]
    for number in range(20, 50):
        known = runs_of([job(f"j{number}", created=number * 60, condition="Complete")], [], known, NOW)
        known = [run if run.id == due.id else run.model_copy(update={"report": "Done"}) for run in known]
    assert [run.id for run in known] == [*(f"uid-j{number}" for number in range(49, 30, -1)), due.id]


def test_a_run_that_was_pushed_out_is_not_taken_for_a_new_one() -> None:
    jobs = [job(f"j{number}", created=number * 60, condition="Complete") for number in range(25)]
    known = [_known(number, "success") for number in range(24, 4, -1)]
    assert runs_of(jobs, [], known, NOW) == known


def test_a_run_that_is_new_to_a_full_list_is_still_to_be_reported() -> None:
    known = [_known(number, "success") for number in range(20, 0, -1)]
    runs = runs_of([job("j21", created=21 * 60, condition="Complete")], [], known, NOW)
    assert [run.report for run in runs][:2] == ["Pending", "Done"]
    assert [run.id for run in runs] == ["uid-j21", *(run.id for run in known[:-1])]


def test_an_attempt_that_ends_after_its_run_was_recorded_gets_its_end_until_the_run_is_reported() -> None:
    killed = job(condition="FailureTarget", reason="DeadlineExceeded", ended=30)
    killed["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(29)
    recorded = runs_of([killed], [pod(running=True, node_lost=True)], [], NOW)
    (run,) = runs_of([killed], [pod(exit_code=143, ended=55)], recorded, NOW)
    assert (recorded[0].state, recorded[0].attempts[0].exit_code) == ("stopped", None)
    assert (run.state, run.end_time, run.attempts[0].exit_code) == ("stopped", recorded[0].end_time, 143)
    done = [recorded[0].model_copy(update={"report": "Done"})]
    assert runs_of([killed], [pod(exit_code=143, ended=55)], done, NOW) == done
    assert runs_of([], [pod(exit_code=143, ended=55)], recorded, NOW) == [run]
