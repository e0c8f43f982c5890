"""Since when a run waits for its pod, and when it is ended for that."""

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion_operator import constants
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.timestamps import read_time
from ingestion_operator.runs.history import runs_of
from ingestion_operator.runs.jobs import read_job
from ingestion_operator.runs.pending import (
    Waiting,
    terminate_lost,
    terminate_overdue,
    waiting_runs,
    with_known_causes,
    with_waiting_since,
)
from testing.objects import NOW, Body, at, job, job_records, pod, pod_records, run_of

LIMIT = timedelta(minutes=10)
PULL = ("ImagePullBackOff", "no such image")


def started(body: Body, seconds: float = 5) -> Body:
    """A Job that may have pods since then."""
    body["status"]["startTime"] = at(seconds)
    return body


def observed(bodies: list[Body], of_pods: list[Body], now: float, known: list[Run] | None = None) -> list[Run]:
    moment, jobs, pods = NOW + timedelta(seconds=now), job_records(bodies), pod_records(of_pods)
    before = known or []
    return with_waiting_since(runs_of(jobs, pods, before, moment, gone=()), before, jobs, pods, moment)


def waits(jobs: list[Body], pods: list[Body], now: float = 20) -> list[Waiting]:
    return waiting_runs(observed(jobs, pods, now), job_records(jobs), pod_records(pods), LIMIT)


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - NOW).total_seconds()


@pytest.mark.parametrize(
    ("found", "pods", "since"),
    [
        (started(job()), [], 5),
        (started(job()), [pod(created=7)], 5),
        (started(job()), [pod("a", created=7, phase="Failed", status_reason="Evicted"), pod("b", created=30)], 5),
        (started(job(backoff_limit=2)), [pod("a", exit_code=1, ended=50), pod("b", created=60, waiting=PULL)], 60),
        (started(job(backoff_limit=2)), [pod("a", exit_code=1, ended=50)], 60),
        (started(job(backoff_limit=2)), [pod("a", exit_code=1, ended=95)], None),
        (started(job(backoff_limit=2)), [pod("a", exit_code=143, disrupted="X", ended=95)], None),
        (started(job(backoff_limit=2), 70), [pod("a", exit_code=1, ended=50)], 70),
        (job(), [], None),
        (job(), [pod(created=7)], 7),
        (started(job()), [pod(running=True)], None),
        (started(job()), [pod(exit_code=0)], None),
        (job(suspended=True), [], None),
        (started(job(condition="Failed")), [], None),
    ],
    ids=[
        "no pod", "its first pod", "a first pod that never ran does not count", "a later attempt from its own pod",
        "between attempts from the end of the pause", "during the pause it does not wait",
        "a disruption is followed by a pause too", "resumed after an attempt",
        "a Job that the controller has not seen", "no startTime",
        "it runs", "it has ended", "it waits for a slot", "the Job has failed",
    ],
)  # fmt: skip
def test_the_wait_for_a_pod_begins(found: Body, pods: list[Body], since: float | None) -> None:
    (run,) = observed([found], pods, 100)
    assert seconds(run.waiting_since) == since


def test_the_wait_after_a_deleted_pod_begins_once() -> None:
    jobs = [started(job())]
    known = observed(jobs, [pod(running=True)], 2000)
    known = observed(jobs, [], 3000, known)
    assert seconds(known[0].waiting_since) == 3000
    known = observed(jobs, [], 3100, known)
    assert seconds(known[0].waiting_since) == 3000
    assert observed(jobs, [pod("b", created=3110, running=True)], 3120, known)[0].waiting_since is None


def test_the_deadline_follows_from_the_limit() -> None:
    (wait,) = waits([started(job())], [pod(created=6, waiting=PULL)])
    assert seconds(wait.deadline) == 605
    assert wait.subject == "Pod nightly-1-a"


def test_the_pause_grows_when_disrupted_pods_are_gone() -> None:
    """The eviction API deletes the pods, and an ignored failure is not counted in the Job's status."""
    found = started(job(backoff_limit=2))
    known: list[Run] = []
    for name, begin in (("a", 10), ("b", 30), ("c", 60), ("d", 110)):
        of_pods = [pod(name, exit_code=143, disrupted="EvictionByEvictionAPI", created=begin, ended=begin + 10)]
        known = observed([found], of_pods, begin + 10, known)

    (run,) = observed([found], [], 130, known)

    assert len(run.attempts) == 4
    (wait,) = waiting_runs([run], job_records([found]), [], LIMIT)
    assert seconds(wait.deadline) == 120 + 80 + LIMIT.total_seconds()


@pytest.mark.parametrize(("failures", "pause"), [(1, 10), (3, 40), (7, 600), (10, 600)])
@pytest.mark.parametrize("now", [51, 5000])
def test_the_pause_of_the_job_controller_does_not_count(failures: int, pause: int, now: float) -> None:
    found, pods = started(job(backoff_limit=10)), [pod(exit_code=1, ended=50)]
    found["status"]["failed"] = failures
    (run,) = observed([found], pods, now)
    assert seconds(run.waiting_since) == (50 + pause if now >= 50 + pause else None)
    (wait,) = waits([found], pods, now)
    assert seconds(wait.explain_at) == 50 + pause + 10
    assert seconds(wait.deadline) == 50 + pause + 600


def test_a_run_in_a_pause_is_decided_about_once_that_is_over() -> None:
    found, pods = started(job(backoff_limit=10)), [pod(exit_code=1, ended=50)]
    found["status"]["failed"] = 6
    moment = NOW + timedelta(seconds=365)
    runs = observed([found], pods, 365)
    overdue = terminate_overdue(waits([found], pods, 365), runs, "5m", moment)
    assert overdue == ([], NOW + timedelta(seconds=50 + 320 + 10))


@pytest.mark.parametrize(
    ("pods", "uid"),
    [
        ([], "uid-nightly-1"),
        ([pod()], "uid-nightly-1-a"),
        ([pod(waiting=("ContainerCreating", ""))], "uid-nightly-1-a"),
        ([pod(waiting=PULL)], ""),
        ([pod(unschedulable="0/1 nodes")], ""),
    ],
    ids=["no pod", "nothing is known", "ContainerCreating", "the image", "no node"],
)
def test_events_are_read_where_the_pod_names_no_cause(pods: list[Body], uid: str) -> None:
    (wait,) = waits([started(job())], pods)
    assert wait.events_of == uid


@pytest.mark.parametrize("annotation", [constants.ANNOTATION_STOP, constants.ANNOTATION_TERMINATED_REASON])
def test_a_run_that_is_being_ended_waits_for_nothing(annotation: str) -> None:
    found = started(job())
    found["metadata"]["annotations"][annotation] = at(30)
    assert waits([found], [pod(waiting=PULL)]) == []


def ended_for_waiting(found: Body, pods: list[Body], limit: str = "10m") -> Body:
    """The Job after the patch, as Kubernetes then ends it."""
    found["metadata"]["resourceVersion"] = "7"
    started(found)
    runs, moment = observed([found], pods, 5000), NOW + timedelta(seconds=5000)
    (patch,), again_at = terminate_overdue(waits([found], pods, 5000), runs, limit, moment)
    assert again_at is None
    assert patch.patch["metadata"]["resourceVersion"] == "7"
    found["metadata"]["annotations"] |= patch.annotations
    found["spec"] |= patch.spec
    found["status"]["conditions"] = [
        {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": at(606)}
    ]
    return found


@pytest.mark.parametrize("pods", [[], [pod(waiting=PULL)], [pod(exit_code=137)]], ids=["gone", "going", "gone wrong"])
def test_a_run_whose_pod_never_started_has_failed_with_the_cause(pods: list[Body]) -> None:
    run = run_of(ended_for_waiting(job(), [pod(waiting=PULL)]), pods)
    assert (run.state, run.reason, run.report) == ("failed", "ImagePullBackOff", "Pending")
    assert run.message == (
        "No pod of the run started within 10 minutes. Pod nightly-1-a waits: its image cannot be pulled: "
        "no such image; correct the image or the registry's credentials (podTemplate.spec.imagePullSecrets)"
    )


def test_a_pod_that_made_it_in_the_last_moment_counts() -> None:
    found = ended_for_waiting(job(), [pod(waiting=PULL)])
    found["status"]["conditions"] = [{"type": "Complete", "status": "True", "lastTransitionTime": at(700)}]
    assert run_of(found, [pod(exit_code=0)]).state == "success"


def test_a_kill_that_comes_after_that_changes_nothing() -> None:
    found = ended_for_waiting(job(), [pod(waiting=PULL)])
    found["metadata"]["annotations"][constants.ANNOTATION_STOP] = at(606)
    assert run_of(found, []).state == "failed"


def test_a_limit_of_one_is_in_the_singular() -> None:
    message = run_of(ended_for_waiting(job(), [], "1h"), []).message
    assert message == "No pod of the run started within 1 hour. Waits for its pod"


def test_a_known_cause_stays_until_the_pod_has_its_own() -> None:
    known = [run_of(job(), [pod()]).model_copy(update={"reason": "SecretNotFound", "message": "why"})]
    silent, telling, running = (
        run_of(job(), []),
        run_of(job(), [pod(waiting=PULL)]),
        run_of(job(), [pod(running=True)]),
    )
    (reported,) = with_known_causes([silent], known)
    assert (reported.reason, reported.message) == ("SecretNotFound", "why")
    assert with_known_causes([telling, running], known) == [telling, running]
    assert with_known_causes([silent], [running]) == [silent]


PODS = st.lists(
    st.fixed_dictionaries(
        {
            "created": st.integers(0, 500),
            "running": st.booleans(),
            "exit_code": st.none() | st.integers(0, 255),
            "waiting": st.none() | st.just(PULL),
            "disrupted": st.none() | st.just("Evicted"),
        }
    ),
    max_size=4,
)


PLAIN = {"created": 0, "running": False, "waiting": None, "disrupted": None}


@example(False, 0, 1, [PLAIN | {"exit_code": 0}, PLAIN | {"exit_code": None}], 500)
@given(st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 100), PODS, st.integers(500, 5000))
def test_no_run_is_ended_while_it_runs_or_before_its_time(
    suspended: bool, backoff_limit: int, begins: int | None, described: list[Body], now: int
) -> None:
    found = job(suspended=suspended, backoff_limit=backoff_limit)
    if begins is not None:
        started(found, begins)
    pods = [pod(f"p{number}", **words) for number, words in enumerate(described)]
    runs = observed([found], pods, now)
    for wait in waiting_runs(runs, [read_job(found)], pod_records(pods), LIMIT):
        newest = max(
            pods, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]), default=None
        )
        assert not suspended
        assert runs[0].state in ("queued", "running")
        assert newest is None or "running" not in newest["status"].get("containerStatuses", [{}])[-1].get("state", {})
        began = read_time(found["status"].get("startTime"))
        assert began is None or wait.deadline >= began + LIMIT
    again = observed([found], pods, now + 30, runs)
    assert all(before.waiting_since in (None, after.waiting_since) for before, after in zip(runs, again, strict=True))


def test_a_run_on_a_silent_node_is_ended_after_the_limit() -> None:
    found, pods = started(job()), [pod(running=True, node_lost=True)]
    runs = observed([found], pods, 100)
    jobs, of_job = job_records([found]), pod_records(pods)
    assert terminate_lost(runs, jobs, of_job, "5m", NOW + timedelta(seconds=360)) == ([], NOW + timedelta(seconds=361))
    (patch,), again_at = terminate_lost(runs, jobs, of_job, "5m", NOW + timedelta(seconds=361))
    assert again_at is None
    assert str(patch.annotations[constants.ANNOTATION_TERMINATED_REASON]).startswith(
        "NodeLost: The node did not report for 5 minutes"
    )
    assert patch.spec == {"activeDeadlineSeconds": 1}
    found["metadata"]["annotations"][constants.ANNOTATION_TERMINATED_REASON] = "NodeLost: x"
    assert terminate_lost(runs, job_records([found]), of_job, "5m", NOW + timedelta(hours=1)) == ([], None)


def test_a_run_whose_job_is_not_there_keeps_its_record() -> None:
    (known,) = observed([started(job())], [], 100)
    assert observed([], [], 200, [known]) == [known]
    assert waiting_runs([known], [], [], LIMIT) == []
