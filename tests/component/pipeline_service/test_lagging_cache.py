"""A client whose cache is behind: what it does is right all the same, and it sees its writes at once."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingestion_operator import constants
from ingestion_operator.errors import NotFound, Rejected, Unavailable
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import Job, read_job
from testing.entities import entity
from testing.objects import NAMESPACE, Body
from testing.reconciling import sync
from testing.simulated_jobs import RESOURCE, RUN, add_pod, allow_queued, finish, job, jobs
from testing.simulation import Simulation

_KINDS: Mapping[str, Kind] = {kind.plural: kind for kind in (PIPELINES, CRONJOBS, JOBS, PODS)}


class Replicas:
    """A replica whose cache stands still, beside one that reads everything live."""

    def __init__(self) -> None:
        self.simulation = Simulation()
        self.other = self.simulation.client
        self.other.deploy_pipeline(entity())
        self.simulation.operate(RESOURCE)
        self.store = self.simulation.synced_store()
        self.client = self.simulation.another_client(store=self.store)

    @property
    def calls(self) -> list[str]:
        return [f"{call.verb} {call.plural}" for call in self.simulation.cluster.calls]

    def states(self) -> list[tuple[str, str]]:
        return [(run.run_id, run.pipeline_state) for run in self.client.get_pipeline_status("nightly")]


@pytest.fixture
def replicas() -> Replicas:
    return Replicas()


def test_status_makes_no_call(replicas: Replicas) -> None:
    replicas.simulation.cluster.calls.clear()
    assert replicas.states() == []
    assert replicas.calls == []


def test_a_run_is_seen_as_soon_as_it_is_accepted(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.cluster.calls.clear()
    assert replicas.states() == [(RUN, "queued")]
    assert replicas.calls == []


def test_a_run_that_was_accepted_without_an_answer_is_seen(replicas: Replicas) -> None:
    replicas.simulation.cluster.fail("create", Unavailable("no answer"), plural=JOBS.plural, after=True)
    replicas.client.run_pipeline("nightly", run_id=RUN)
    assert replicas.states() == [(RUN, "queued")]


def test_a_stop_is_seen_as_soon_as_it_is_accepted(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.client.kill_ingestion("nightly")
    assert replicas.states() == [(RUN, "stopped")]


def test_a_deploy_and_a_pause_are_seen_at_once(replicas: Replicas) -> None:
    replicas.client.deploy_pipeline(entity("weekly"))
    replicas.simulation.cluster.calls.clear()
    assert replicas.client.get_pipeline_status("weekly") == []
    assert replicas.calls == []
    replicas.client.toggle_ingestion("weekly", enabled=False)
    (found,) = replicas.store.pipelines_called(NAMESPACE, "weekly")
    assert found.body()["spec"]["suspend"] is True


def test_a_deletion_is_seen_at_once(replicas: Replicas) -> None:
    replicas.client.delete_pipeline("nightly")
    with pytest.raises(NotFound):
        replicas.client.get_pipeline_status("nightly")
    replicas.client.deploy_pipeline(entity())
    assert replicas.states() == []


def test_a_run_that_was_admitted_meanwhile_is_stopped(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.operate(RESOURCE)
    assert replicas.client.kill_ingestion_run("nightly", RUN).code == 200
    assert job(replicas.simulation, RUN)["spec"]["activeDeadlineSeconds"] == 1


def test_a_run_that_has_ended_meanwhile_is_not_stopped(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.operate(RESOURCE)
    finish(replicas.simulation, RUN)
    with pytest.raises(NotFound, match="nothing to stop"):
        replicas.client.kill_ingestion("nightly")
    assert constants.ANNOTATION_STOP not in job(replicas.simulation, RUN)["metadata"]["annotations"]


def test_a_run_whose_job_has_gone_is_not_stopped(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.cluster.delete(JOBS, NAMESPACE, job(replicas.simulation, RUN)["metadata"]["name"])
    with pytest.raises(NotFound, match="nothing to stop"):
        replicas.client.kill_ingestion("nightly")


def test_a_run_that_another_replica_accepted_is_stopped(replicas: Replicas) -> None:
    replicas.other.run_pipeline("nightly", run_id=RUN)
    assert replicas.client.kill_ingestion_run("nightly", RUN).code == 200
    assert constants.ANNOTATION_STOP in job(replicas.simulation, RUN)["metadata"]["annotations"]


def test_the_log_of_a_run_of_another_replica_is_found(replicas: Replicas) -> None:
    replicas.other.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.operate(RESOURCE)
    add_pod(replicas.simulation, RUN, "pod-a")
    replicas.simulation.logs.texts = {"pod-a": b"hello"}
    assert replicas.client.get_last_ingestion_logs("nightly").text == "hello"
    assert replicas.client.get_ingestion_logs("nightly", RUN).text == "hello"


def test_a_pod_that_has_gone_meanwhile_has_no_log(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    replicas.simulation.operate(RESOURCE)
    add_pod(replicas.simulation, RUN, "pod-a")
    sync(replicas.store, replicas.simulation.cluster)
    replicas.simulation.cluster.delete(PODS, NAMESPACE, "pod-a")
    with pytest.raises(NotFound):
        replicas.client.get_last_ingestion_logs("nightly")


def test_a_run_belongs_to_the_pipeline_as_it_is_now(replicas: Replicas) -> None:
    replicas.other.delete_pipeline("nightly")
    replicas.other.deploy_pipeline(entity(loggerLevel="DEBUG"))
    replicas.client.run_pipeline("nightly", run_id=RUN)
    (pipeline,) = replicas.simulation.cluster.all(PIPELINES)
    assert job(replicas.simulation, RUN)["metadata"]["ownerReferences"][0]["uid"] == pipeline["metadata"]["uid"]
    assert "DEBUG" in str(job(replicas.simulation, RUN)["spec"])


def test_a_pause_of_another_replica_is_undone(replicas: Replicas) -> None:
    replicas.other.toggle_ingestion("nightly", enabled=False)
    replicas.client.toggle_ingestion("nightly", enabled=True)
    assert replicas.simulation.cluster.all(PIPELINES)[0]["spec"]["suspend"] is False


def test_a_queue_with_room_refuses_no_run(replicas: Replicas) -> None:
    allow_queued(replicas.simulation, 2)
    for _ in range(2):
        replicas.client.run_pipeline("nightly")
    replicas.simulation.operate(RESOURCE)
    assert replicas.client.run_pipeline("nightly").code == 200
    with pytest.raises(Rejected, match="maxQueuedRuns"):
        replicas.client.run_pipeline("nightly")


def test_a_job_of_an_earlier_pipeline_is_not_a_run(replicas: Replicas) -> None:
    replicas.client.run_pipeline("nightly", run_id=RUN)
    (old,) = jobs(replicas.simulation)
    replicas.other.delete_pipeline("nightly")
    replicas.other.deploy_pipeline(entity())
    replicas.simulation.cluster.put(JOBS, old)
    sync(replicas.store, replicas.simulation.cluster)
    assert replicas.states() == []
    with pytest.raises(NotFound, match="nothing to stop"):
        replicas.client.kill_ingestion("nightly")


class _Lagging(RuleBasedStateMachine):
    """Two replicas, the operator and Kubernetes; lists reach the cache of one replica late, kind by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.replicas = Replicas()
        self.simulation = self.replicas.simulation
        self.lists: dict[str, tuple[list[Body], str]] = {}
        self.started = 0
        self.own: set[str] = set()
        """Runs that the replica accepted."""
        self.killed: set[str] = set()

    def live(self) -> dict[str, Job]:
        return {found.run_id: found for found in map(read_job, self.simulation.cluster.all(JOBS))}

    def unfinished(self) -> set[str]:
        """Runs that can be stopped: one that is to be stopped while it waits has ended."""
        return {
            run_id
            for run_id, found in self.live().items()
            if not (found.has_finished or (found.is_suspended and found.annotation(constants.ANNOTATION_STOP)))
        }

    @rule(plural=st.sampled_from(sorted(_KINDS)))
    def begin_list(self, plural: str) -> None:
        self.lists[plural] = self.simulation.cluster.all(_KINDS[plural]), self.simulation.cluster.version

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def end_list(self, data: st.DataObject) -> None:
        plural = data.draw(st.sampled_from(sorted(self.lists)))
        self.replicas.store.replace(_KINDS[plural], "", *self.lists.pop(plural))

    @rule(is_own=st.booleans())
    def run(self, is_own: bool) -> None:
        client = self.replicas.client if is_own else self.replicas.other
        self.started += 1
        run_id = str(UUID(int=self.started))
        try:
            client.run_pipeline("nightly", run_id=run_id)
        except Rejected:
            assert sum(found.is_suspended for found in self.live().values()) >= 20
            return
        self.own |= {run_id} if is_own else set()
        (pipeline,) = self.simulation.cluster.all(PIPELINES)
        owner = self.live()[run_id].owner
        assert owner is not None
        assert owner.uid == pipeline["metadata"]["uid"]
        self.simulation.clock.forward(seconds=1)

    @rule()
    def kill_all(self) -> None:
        seen = {found.run_id for found in self.replicas.store.jobs_of(NAMESPACE, RESOURCE)}
        before = self.unfinished()
        try:
            self.replicas.client.kill_ingestion("nightly")
        except NotFound:
            assert not before
        else:
            self.killed |= before & seen

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def kill_one(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.live())))
        is_under_way = run_id in self.unfinished()
        try:
            self.replicas.client.kill_ingestion_run("nightly", run_id)
        except NotFound:
            assert not is_under_way
        else:
            assert self.live()[run_id].annotation(constants.ANNOTATION_STOP)
            self.killed.add(run_id)

    @rule()
    def operate(self) -> None:
        self.simulation.operate(RESOURCE)

    @rule(succeeds=st.booleans())
    def kubernetes_ends_a_run(self, succeeds: bool) -> None:
        for found in self.live().values():
            if not (found.is_suspended or found.has_finished):
                is_killed = found.deadline_seconds == 1
                kind = "Complete" if succeeds and not is_killed else "Failed"
                finish(self.simulation, found.run_id, kind, "DeadlineExceeded" if is_killed else "BackoffLimitExceeded")
                return

    @invariant()
    def an_own_run_is_in_the_status(self) -> None:
        # One whose Job is deleted is in the record, which may reach the cache a moment later than the deletion.
        listed = {run.run_id for run in self.replicas.client.get_pipeline_status("nightly", limit=1000)}
        assert listed >= self.own & self.live().keys()

    @invariant()
    def a_killed_run_ends(self) -> None:
        for run_id in self.killed & self.unfinished():
            assert self.live()[run_id].annotation(constants.ANNOTATION_STOP)


TestLagging = _Lagging.TestCase
TestLagging.settings = hypothesis_settings(max_examples=30, stateful_step_count=25, deadline=None)
