"""Up to 200 runs of one pipeline, in random orders of events: every run is reported once, with its own end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.pipeline import History
from ingestion_operator.api.status import FINISHED_STATES, Run
from ingestion_operator.runs import admission, history, job_retention, stopping
from ingestion_operator.runs.actions import PatchJob
from ingestion_operator.runs.jobs import read_job
from testing.objects import NOW, UID, Body, at, job, job_records


@dataclass
class Cluster:
    """The Jobs of one pipeline, and an operator without any memory but the status."""

    max_active_runs: int
    history: History
    jobs: dict[str, Body] = field(default_factory=dict)
    status: list[Run] = field(default_factory=list)
    reports: Counter[str] = field(default_factory=Counter)
    reported: dict[str, str] = field(default_factory=dict)
    created: int = 0
    seconds: int = 0

    def request(self) -> None:
        """A client starts a run."""
        name = f"j{self.created:03}"
        self.created += 1
        body = job(name, created=self.seconds, suspended=True, scheduled=False, owner=UID)
        body["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(self.seconds)
        self.jobs[name] = body

    def running(self) -> list[Body]:
        return [b for b in self.jobs.values() if not b["spec"]["suspend"] and not b["status"].get("conditions")]

    def finish(self, condition: str, pick: Callable[[list[Body]], Body] = itemgetter(0)) -> None:
        """Kubernetes ends one of the Jobs that run."""
        if running := self.running():
            ended = {"type": condition, "status": "True", "lastTransitionTime": at(self.seconds), "reason": "X"}
            pick(running)["status"]["conditions"] = [ended]

    def kill_all(self) -> None:
        now = NOW + timedelta(seconds=self.seconds)
        for found in stopping.to_kill(at(self.seconds), job_records(self.jobs.values()), now):
            self.patch(stopping.stop(found, "a person", now))

    def patch(self, found: PatchJob | None) -> None:
        if found is not None:
            body = self.jobs[found.job.name]
            body["metadata"]["annotations"] |= found.annotations
            body["spec"] |= found.spec

    def sync(self) -> None:
        """Kubernetes ends the Jobs that have a deadline."""
        for body in self.running():
            if "activeDeadlineSeconds" in body["spec"]:
                ended = {"type": "Failed", "status": "True", "lastTransitionTime": at(self.seconds)}
                body["status"]["conditions"] = [ended | {"reason": "DeadlineExceeded"}]

    def reconcile(self) -> list[Run]:
        """Return all runs, after one reconciliation with reports."""
        now, jobs = NOW + timedelta(seconds=self.seconds), job_records(self.jobs.values())
        runs = history.runs_of(jobs, [], self.status, now, gone=history.missing_jobs(jobs, self.status))
        for action in admission.decide(jobs, runs, admission.Limits(self.max_active_runs), now).actions:
            assert isinstance(action, PatchJob)
            self.patch(action)
        due = [run for run in history.recorded(runs) if run.is_unreported]
        for run in due:
            self.reports[run.id] += 1
            self.reported[run.id] = run.state
        done = [run.model_copy(update={"report": "Done"}) if run in due else run for run in runs]
        self.status = history.recorded(done)
        for deletion in job_retention.expired_jobs(jobs, done, self.history):
            del self.jobs[deletion.job.name]
        return runs

    def truth(self) -> Counter[str]:
        """How many runs are under way and wait."""
        jobs = [read_job(body) for body in self.jobs.values()]
        waiting = [one for one in jobs if one.is_suspended and constants.ANNOTATION_STOP not in one.annotations]
        return Counter(queued=len(self.running()) + len(waiting))

    def settle(self) -> None:
        """Let all that runs end, until nothing changes."""
        for _ in range(3 * self.created + 10):
            before = (self.status, len(self.jobs), len(self.reports))
            self.seconds += 10
            self.sync()
            self.finish("Complete")
            self.reconcile()
            if before == (self.status, len(self.jobs), len(self.reports)) and not self.truth().total():
                return
        raise AssertionError("it does not come to an end")


EVENTS = st.lists(st.sampled_from(["request"] * 5 + ["burst", "finish", "fail", "kill", "reconcile"]), max_size=60)
KEPT = st.sampled_from([0, 3, 100])


@hypothesis_settings(deadline=None, max_examples=40)
@given(EVENTS, st.integers(1, 40), KEPT, st.randoms(use_true_random=False))
def test_any_order_of_events_leaves_one_truth(events: list[str], limit: int, kept: int, pick: Any) -> None:
    cluster = Cluster(limit, History.model_construct(successful=kept, failed=kept))
    for event in events:
        cluster.seconds += pick.randint(0, 20)
        match event:
            case "request":
                cluster.request()
            case "burst":
                for _ in range(min(30, 200 - cluster.created)):
                    cluster.request()
            case "finish" | "fail":
                cluster.finish("Complete" if event == "finish" else "Failed", pick.choice)
            case "kill":
                cluster.kill_all()
            case _:
                cluster.sync()
                runs = cluster.reconcile()
                unfinished = sum(run.state not in FINISHED_STATES for run in runs)
                assert unfinished >= cluster.truth().total()
    cluster.settle()
    assert cluster.reports == {f"uid-j{number:03}": 1 for number in range(cluster.created)}
    assert all(run.state in FINISHED_STATES for run in cluster.status)
    assert not [name for name, body in cluster.jobs.items() if body["spec"]["suspend"]]


def test_30_queued_runs_that_are_killed_at_once_leave_nothing() -> None:
    cluster = Cluster(1, History())
    for _ in range(30):
        cluster.request()
    cluster.reconcile()
    cluster.kill_all()
    cluster.settle()
    assert Counter(cluster.reported.values()) == {"stopped": 30}
    assert cluster.reports.total() == 30
    assert list(cluster.jobs) == ["j000"]  # the one that ran


def test_a_run_that_ends_while_20_wait_is_recorded_and_reported() -> None:
    cluster = Cluster(1, History())
    for _ in range(21):
        cluster.request()
    cluster.reconcile()
    runs = cluster.reconcile()
    assert Counter(run.state for run in runs) == {"queued": 21}
    assert "uid-j000" in [run.id for run in cluster.status]
    cluster.seconds += 60
    cluster.finish("Failed")
    cluster.reconcile()
    assert cluster.reported == {"uid-j000": "failed"}
    assert next(run for run in cluster.status if run.id == "uid-j000").report == "Done"
