"""Two hundred runs of one pipeline: all of them decide, though a status has room for twenty."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import FINISHED_STATES
from ingestion_operator.controller.metrics import OperatorMetrics
from ingestion_operator.ports import EVENTS, JOBS, PIPELINES, PODS
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.lives import SUCCEEDED
from testing.objects import NAMESPACE, NOW, Body, at, job, manifest, pod, settings
from testing.reconciling import Reconciling
from testing.reports import AWAY, KEY, OUT_OF_MEMORY, reconcile, status


def queued(number: int) -> Body:
    body = job(f"q-{number:03}", created=100 + number, suspended=True, scheduled=False)
    body["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(100 + number)
    return body


def restarted(cluster: FakeCluster, sink: FakeSink, clock: FakeClock) -> Reconciling:
    return Reconciling(cluster, settings, clock, reporter_over(cluster, sink, settings, clock))


@pytest.fixture
def crowded(cluster: FakeCluster) -> FakeCluster:
    """A run at work, and 199 that wait."""
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("works", scheduled=False))
    cluster.put(PODS, pod("works-a", of="works", running=True))
    for number in range(199):
        cluster.put(JOBS, queued(number))
    return cluster


def end(cluster: FakeCluster, name: str, seconds: float = 60) -> None:
    """Let a run fail out of memory: nothing in its pod can report that."""
    cluster.put(PODS, pod(f"{name}-a", of=name, ended=seconds, **OUT_OF_MEMORY))
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": at(seconds)}
    cluster.edit(JOBS, NAMESPACE, name, lambda body: body["status"].update(failed=1, conditions=[failed]))


def test_all_runs_are_counted_and_the_one_at_work_is_listed(crowded: FakeCluster, reconciling: Reconciling) -> None:
    reconcile(reconciling)
    found = status(crowded)
    assert (found.active, found.queued, found.active_runs) == (1, 199, ["uid-works"])
    assert len(found.queued_runs) == constants.STATUS_IDS_LIMIT
    assert len(found.runs) == constants.STATUS_RUNS_LIMIT
    assert [run.job for run in found.runs if run.state == "running"] == ["works"]


@pytest.mark.parametrize("restarts", [False, True])
def test_the_end_of_a_run_is_recorded_though_199_wait(
    crowded: FakeCluster, reconciling: Reconciling, sink: FakeSink, clock: FakeClock, *, restarts: bool
) -> None:
    reconcile(reconciling)
    end(crowded, "works")
    operator = restarted(crowded, sink, clock) if restarts else reconciling
    reconcile(operator)
    assert sink.rows["uid-works"]["pipelineState"] == "failed"
    assert {run.id: run.state for run in status(crowded).runs}["uid-works"] == "failed"
    assert [body["reason"] for body in crowded.all(EVENTS)].count("RunFailed") == 1
    (first,) = [body for body in crowded.all(JOBS) if body["metadata"]["name"] == "q-000"]
    assert first["spec"]["suspend"] is False
    assert (status(crowded).active or 0) + (status(crowded).queued or 0) == 199


def test_two_hundred_runs_that_are_killed_leave_no_job(
    crowded: FakeCluster, reconciling: Reconciling, sink: FakeSink, clock: FakeClock
) -> None:
    reconcile(reconciling)
    crowded.edit(
        PIPELINES, KEY.namespace, KEY.name,
        lambda body: body["metadata"].update(annotations={constants.ANNOTATION_KILL: at(1000)}),
    )  # fmt: skip
    clock.forward(seconds=1000)
    reconcile(reconciling)
    end(crowded, "works")
    for _ in range(20):
        reconcile(reconciling)
    assert [body["metadata"]["name"] for body in crowded.all(JOBS)] == ["works"]
    assert len(sink.rows) == 200
    states = {run_id: row["pipelineState"] for run_id, row in sink.rows.items()}
    assert states.pop("uid-works") == "failed"  # it had ended before its end was requested
    assert set(states.values()) == {"stopped"}
    assert (status(crowded).active, status(crowded).queued) == (0, 0)


def test_two_hundred_ends_are_reported_once_each_across_restarts(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest(history={"successful": 100, "failed": 100}))
    for number in range(200):
        cluster.put(JOBS, job(f"j-{number:03}", created=number, ended=number + 60, condition="Failed"))
    sink.down = AWAY
    reconcile(reconciling)
    sink.down = None
    clock.forward(minutes=5)
    for _ in range(30):
        reconcile(restarted(cluster, sink, clock))
    assert sorted(sink.writes) == [f"uid-j-{number:03}" for number in range(200)]


def test_ends_in_the_order_of_other_clocks_are_all_reported(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    """Nodes differ in their clocks: a run that is seen later may have ended earlier than those that left the list."""
    cluster.put(PIPELINES, manifest(concurrency={"policy": "Allow", "maxActiveRuns": 100}))
    names = [f"j-{number:02}" for number in range(60)]
    for name in names:
        cluster.put(JOBS, job(name, scheduled=False))
        cluster.put(PODS, pod(f"{name}-a", of=name, running=True))
    reconcile(reconciling)
    for number, name in enumerate(names):
        end(cluster, name, seconds=200 - number)
        reconcile(reconciling)
    assert sorted(sink.writes) == [f"uid-{name}" for name in names]


def test_a_deleted_job_of_any_waiting_run_is_recorded(
    crowded: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    reconcile(reconciling)
    assert "q-150" not in {run.job for run in status(crowded).runs}
    crowded.delete(JOBS, NAMESPACE, "q-150")
    reconcile(reconciling)
    assert {run.job: run.reason for run in status(crowded).runs}["q-150"] == "JobDeleted"
    assert sink.rows["uid-q-150"]["pipelineState"] == "failed"


def test_reports_go_on_by_themselves_until_none_is_left(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    cluster.put(PIPELINES, manifest(history={"successful": 100, "failed": 100}))
    for number in range(90):
        cluster.put(JOBS, job(f"j-{number:03}", created=number, ended=number + 60, condition="Failed"))
    reconcile(reconciling)
    assert len(sink.writes) == 90


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["start", "end", "reconcile", "restart"]), st.integers(0, 199)), max_size=30
)


@hypothesis_settings(deadline=timedelta(seconds=20), max_examples=10)
@given(actions=ACTIONS, down=st.booleans())
def test_any_order_of_ends_among_200_runs_ends_in_one_record(actions: list[tuple[str, int]], *, down: bool) -> None:
    clock, sink = FakeClock(), FakeSink()
    clock.forward(seconds=400)
    cluster = FakeCluster(clock)
    cluster.put(PIPELINES, manifest(concurrency={"policy": "Allow", "maxActiveRuns": 100}))
    for number in range(200):
        cluster.put(JOBS, queued(number))
    operator, ended = restarted(cluster, sink, clock), set[str]()
    sink.down = AWAY if down else None
    for action, number in actions:
        name = f"q-{number:03}"
        body = next((one for one in cluster.all(JOBS) if one["metadata"]["name"] == name), None)
        if action == "start" and body is not None and not body["spec"]["suspend"] and name not in ended:
            cluster.put(PODS, pod(f"{name}-a", of=name, running=True))
        elif action == "end" and body is not None and not body["spec"]["suspend"] and name not in ended:
            ended.add(name)
            end(cluster, name, (clock.moment - NOW).total_seconds())
        elif action == "restart":
            operator = restarted(cluster, sink, clock)
        reconcile(operator)
        clock.forward(seconds=1)
    sink.down = None
    for _ in range(12):
        clock.forward(minutes=1)
        reconcile(operator)
    found = status(cluster)
    assert (found.active or 0) + (found.queued or 0) == 200 - len(ended)
    assert sorted(sink.writes) == sorted(f"uid-{name}" for name in ended)
    assert {run.job for run in found.runs if run.state in FINISHED_STATES} <= ended


def test_forty_runs_that_end_at_once_are_counted_once_each(
    cluster: FakeCluster, sink: FakeSink, clock: FakeClock
) -> None:
    metrics = OperatorMetrics()
    operator = Reconciling(cluster, settings, clock, reporter_over(cluster, sink, settings, clock), observers=[metrics])
    cluster.put(PIPELINES, manifest(history={"successful": 100}))
    for number in range(40):
        name = f"j-{number:02}"
        cluster.put(JOBS, job(name, created=number, ended=number + 60, condition="Complete"))
        cluster.put(PODS, pod(f"{name}-a", of=name, created=number, exit_code=0, message=SUCCEEDED))
    for _ in range(3):
        reconcile(operator)
        clock.forward(minutes=1)
    labels = {"state": "success", "type": "metadata", "trigger": "scheduled"}
    assert metrics.registry.get_sample_value("ingestion_runs_total", labels) == 40
    assert [body["reason"] for body in cluster.all(EVENTS)].count("RunEnded") == 40
