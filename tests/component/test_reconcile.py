"""One pipeline over an API server in memory: what is written, in which order, and when it is requeued."""

from datetime import datetime, timedelta

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import parse_status
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Condition, PipelineStatus, Run
from ingestion_operator.errors import ClusterError, Conflict, Forbidden, Unavailable
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, SECRETS
from ingestion_operator.runs.jobs import PipelineKey
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, job, manifest, pod, settings
from testing.reconciling import Reconciling

KEY = PipelineKey(NAMESPACE, NAME)
STATUS = Call("apply", "ingestionpipelines", NAME, "status")


def status(cluster: FakeCluster) -> PipelineStatus:
    (body,) = cluster.all(PIPELINES)
    return parse_status(body)


def ready(cluster: FakeCluster) -> Condition:
    return next(condition for condition in status(cluster).conditions if condition.type == "Ready")


def only_run(cluster: FakeCluster) -> Run:
    (run,) = status(cluster).runs
    return run


def reasons(cluster: FakeCluster) -> list[str]:
    return [event["reason"] for event in cluster.all(EVENTS)]


def not_ready() -> Body:
    """A pipeline that deserves an Event: a Secret of it is missing."""
    return manifest(connectionSecretRef={"name": "shop", "key": "connection"})


def reconcile(reconciling: Reconciling, *deleted_pods: Body) -> datetime | None:
    return reconciling.reconcile(KEY, deleted_pods)


def assert_about(moment: datetime | None, expected: datetime) -> None:
    """Assert a moment up to the second of jitter after `expected`."""
    assert moment is not None
    assert expected <= moment <= expected + timedelta(seconds=1)


def test_a_new_pipeline_gets_cronjob_then_status(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    assert [(call.verb, call.plural) for call in cluster.writes] == [
        ("apply", "cronjobs"),
        ("apply", "ingestionpipelines"),
    ]
    assert (ready(cluster).status, ready(cluster).reason) == ("True", "Reconciled")
    assert status(cluster).observed_generation == 1
    assert status(cluster).cron_job_name == NAME


def test_a_second_reconciliation_writes_nothing(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Complete"))
    cluster.put(PODS, pod(exit_code=0))
    reconcile(reconciling)
    cluster.calls.clear()
    for _ in range(3):
        clock.forward(seconds=90)
        reconcile(reconciling)
    assert cluster.writes == []


def test_a_restarted_operator_writes_nothing_either(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    reconcile(reconciling)
    cluster.calls.clear()
    reporter = reporter_over(cluster, FakeSink(), settings, clock)
    Reconciling(cluster, settings, clock, reporter).reconcile(KEY, [])
    assert cluster.writes == []


def test_a_pipeline_that_is_gone_costs_no_request(cluster: FakeCluster, reconciling: Reconciling) -> None:
    assert reconcile(reconciling) is None
    assert cluster.calls == []


def test_a_pipeline_is_requeued_for_the_next_tick_or_boundary(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest(schedule={"cron": "30 12 * * *"}))
    assert reconcile(reconciling) == NOW + timedelta(minutes=30, seconds=10)
    cluster.put(PIPELINES, manifest(schedule={"cron": "30 12 * * *", "endDate": "2026-03-01T12:10:00Z"}))
    assert reconcile(reconciling) == NOW + timedelta(minutes=10, seconds=1)
    cluster.put(PIPELINES, manifest(schedule=None))
    assert reconcile(reconciling) is None


def test_a_window_opens_and_closes_by_itself(cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock) -> None:
    dates = {"startDate": "2026-03-01T13:00:00Z", "endDate": "2026-03-01T14:00:00Z"}
    cluster.put(PIPELINES, manifest(schedule={"cron": "@daily"} | dates))
    seen = []
    again = reconcile(reconciling)
    while again is not None:
        (cronjob,) = cluster.all(CRONJOBS)
        seen.append((clock.moment.strftime("%H:%M:%S"), cronjob["spec"]["suspend"]))
        clock.moment = again
        again = reconcile(reconciling)
    assert seen == [("12:00:00", True), ("13:00:00", False), ("14:00:01", True)][: len(seen)]
    (cronjob,) = cluster.all(CRONJOBS)
    assert cronjob["spec"]["suspend"] is True
    assert {c.type: c.reason for c in status(cluster).conditions}["Scheduled"] == "Ended"


def test_a_pipeline_is_not_ready_while_a_secret_is_missing(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest(connectionSecretRef={"name": "shop", "key": "connection"}))
    assert_about(reconcile(reconciling), NOW + timedelta(seconds=5))
    assert (ready(cluster).status, ready(cluster).reason) == ("False", "SecretNotFound")
    assert len(cluster.all(CRONJOBS)) == 1
    cluster.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"connection": "eA=="}})
    clock.forward(seconds=6)
    assert reconcile(reconciling) is None
    assert ready(cluster).status == "True"
    assert reasons(cluster) == ["SecretNotFound", "Reconciled"]


def test_a_pipeline_with_unreadable_secrets_runs_all_the_same(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest(connectionSecretRef={"name": "shop", "key": "connection"}))
    cluster.fail("get", Forbidden("HTTP 403", code=403), plural="secrets")
    assert_about(reconcile(reconciling), NOW + timedelta(seconds=5))
    assert (ready(cluster).status, ready(cluster).reason) == ("False", "SecretForbidden")
    (cronjob,) = cluster.all(CRONJOBS)
    assert cronjob["spec"]["suspend"] is False


def test_a_missing_secret_is_read_ever_less_often(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, not_ready())
    pauses = []
    while clock.moment < NOW + timedelta(hours=1):
        again = reconcile(reconciling)
        assert again is not None
        pauses.append((again - clock.moment).total_seconds())
        clock.moment = again
    expected = [5, 10, 20, 40, 80, 160] + [300] * (len(pauses) - 6)
    assert all(base <= pause <= base + 1 for base, pause in zip(expected, pauses, strict=True))
    assert cluster.calls.count(Call("get", "secrets", "shop")) == len(pauses)
    assert reasons(cluster) == ["SecretNotFound"]


PERMANENT: list[Body] = [
    {"pipelineType": "policyAgent"},
    {"schedule": {"cron": "0 2 31 2 *"}},
    {"schedule": {"cron": "0 2 * * *", "timeZone": "Mars/Base"}},
    {"server": {"hostPort": "http://om/api", "version": "9.9"}},
    {"podTemplate": {"spec": {"serviceAccountName": "x"}}},
]


@pytest.mark.parametrize("changes", PERMANENT, ids=str)
def test_a_wrong_spec_costs_nothing_until_it_is_edited(
    cluster: FakeCluster, reconciling: Reconciling, changes: Body
) -> None:
    cluster.put(PIPELINES, manifest(**changes))
    assert reconcile(reconciling) is None
    assert ready(cluster).status == "False"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schedule": {"cron": "@daily", "timeZone": "Mars/Olympus"}}, "UnknownTimeZone"),
        ({"schedule": {"cron": "0 0 31 2 *"}}, "InvalidSchedule"),
        ({"server": {"hostPort": "http://x", "version": "0.9"}}, "UnsupportedServerVersion"),
        ({"podTemplate": {"spec": {"serviceAccountName": "admin"}}}, "ServiceAccountNotAllowed"),
        ({"podTemplate": {"sidecars": [{"name": "proxy"}]}}, "SidecarWithoutImage"),
    ],
)
def test_an_unusable_spec_gets_a_condition_and_one_event(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock, changes: Body, reason: str
) -> None:
    cluster.put(PIPELINES, manifest(**changes))
    for _ in range(3):
        reconcile(reconciling)
        clock.forward(seconds=5)
    assert (ready(cluster).status, ready(cluster).reason) == ("False", reason)
    assert "spec." in ready(cluster).message or "podTemplate.spec." in ready(cluster).message
    assert cluster.all(CRONJOBS) == []
    assert reasons(cluster) == [reason]
    assert cluster.writes == [STATUS, Call("create", "events", cluster.all(EVENTS)[0]["metadata"]["name"])]


def test_a_spec_stored_under_an_older_definition_is_invalid(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest(pipelineType="of-old"))
    assert reconcile(reconciling) is None
    assert (ready(cluster).reason, ready(cluster).observed_generation) == ("InvalidSpec", 1)
    assert reasons(cluster) == ["InvalidSpec"]
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_a_foreign_cronjob_is_named_and_left_alone(cluster: FakeCluster, reconciling: Reconciling) -> None:
    foreign = cluster.put(
        CRONJOBS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"schedule": "1 1 1 1 1"}}
    )
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    assert ready(cluster).reason == "NameConflict"
    assert cluster.all(CRONJOBS) == [foreign]
    assert status(cluster).cron_job_name is None
    assert status(cluster).next_schedule_time is None


def test_runs_go_on_being_recorded_while_the_spec_is_unusable(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.put(PIPELINES, manifest(schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}))
    cluster.put(JOBS, job(condition="Complete"))
    reconcile(reconciling)
    assert ready(cluster).reason == "UnknownTimeZone"
    assert only_run(cluster).state == "success"
    assert status(cluster).cron_job_name == NAME


def test_a_run_gets_one_event_for_its_start_and_its_end(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    reconcile(reconciling)
    assert only_run(cluster).state == "queued"
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    assert only_run(cluster).state == "running"
    assert status(cluster).active_runs == ["uid-nightly-1"]
    cluster.put(PODS, pod(exit_code=0))
    reconcile(reconciling)
    assert only_run(cluster).state == "success"
    cluster.put(JOBS, job(condition="Complete"))
    reconcile(reconciling)
    assert reasons(cluster) == ["RunStarted", "RunEnded"]


def test_a_pod_seen_only_by_the_watch_counts_with_its_end(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job(condition="Failed", reason="DeadlineExceeded"))
    reconcile(reconciling, pod(exit_code=143, status_reason="DeadlineExceeded"))
    run = only_run(cluster)
    assert [attempt.exit_code for attempt in run.attempts] == [143]
    assert (run.state, run.reason) == ("failed", "DeadlineExceeded")


def test_a_listed_pod_beats_what_the_watch_saw_of_it_earlier(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(exit_code=0))
    reconcile(reconciling, pod(running=True))
    assert only_run(cluster).state == "success"


def test_a_run_whose_job_was_deleted_has_failed(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job())
    cluster.put(PODS, pod(running=True))
    reconcile(reconciling)
    cluster.delete(JOBS, NAMESPACE, "nightly-1")
    clock.forward(minutes=1)
    reconcile(reconciling)
    run = only_run(cluster)
    assert (run.state, run.reason, run.end_time) == ("failed", "JobDeleted", clock.moment)
    assert [attempt.pod for attempt in run.attempts] == ["nightly-1-a"]
    clock.forward(minutes=1)
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_a_deleted_cronjob_is_created_again(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.delete(CRONJOBS, NAMESPACE, NAME)
    reconcile(reconciling)
    assert [body["metadata"]["name"] for body in cluster.all(CRONJOBS)] == [NAME]


def test_new_settings_reach_the_cronjob(
    cluster: FakeCluster, reconciling: Reconciling, settings_in_force: list[Settings]
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    settings_in_force.append(settings(runnerImages={"2.0": {"image": "newer", "version": "2.0.7.0"}}))
    reconcile(reconciling)
    (body,) = cluster.all(CRONJOBS)
    assert body["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] == "newer"


def test_jobs_and_pods_of_another_pipeline_are_not_ours(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("other-1", pipeline_name="other"))
    reconcile(reconciling)
    assert status(cluster).runs == []


def test_a_stale_status_is_refused_and_the_next_one_is_right(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())

    def another_writer_is_faster() -> None:
        cluster.put(PIPELINES, manifest(suspend=True))

    cluster.interleave("apply", another_writer_is_faster, plural="ingestionpipelines")
    with pytest.raises(Conflict):
        reconcile(reconciling)
    assert status(cluster) == PipelineStatus()
    assert cluster.all(EVENTS) == []
    reconcile(reconciling)
    assert {c.type: c.reason for c in status(cluster).conditions}["Scheduled"] == "Suspended"
    assert status(cluster).observed_generation == 2


def test_a_pipeline_deleted_meanwhile_is_not_brought_back(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.interleave("apply", lambda: cluster.delete(PIPELINES, NAMESPACE, NAME), plural="ingestionpipelines")
    with pytest.raises(ClusterError):
        reconcile(reconciling)
    assert cluster.all(PIPELINES) == []
    assert reconcile(reconciling) is None


@pytest.mark.parametrize(
    "error", [Forbidden("no", code=403), Unavailable("away", code=503), Conflict("taken", code=409)]
)
def test_a_lost_event_does_no_harm(cluster: FakeCluster, reconciling: Reconciling, error: Exception) -> None:
    cluster.put(PIPELINES, not_ready())
    cluster.fail("create", error)
    assert reconcile(reconciling) is not None
    assert ready(cluster).reason == "SecretNotFound"
    assert cluster.all(EVENTS) == []
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.writes == []


def test_an_event_is_posted_only_after_the_status_was_written(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, not_ready())
    cluster.fail("apply", Unavailable("away", code=503), plural="ingestionpipelines")
    with pytest.raises(Unavailable):
        reconcile(reconciling)
    assert cluster.all(EVENTS) == []
    reconcile(reconciling)
    assert reasons(cluster) == ["SecretNotFound"]


def test_an_event_is_on_the_pipeline_and_bounded(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, not_ready())
    reconcile(reconciling)
    (event,) = cluster.all(EVENTS)
    (body,) = cluster.all(PIPELINES)
    assert event["involvedObject"]["uid"] == body["metadata"]["uid"]
    assert event["involvedObject"]["kind"] == constants.KIND
    assert event["metadata"]["namespace"] == NAMESPACE
    assert len(event["message"]) <= 1024


def test_a_cronjob_that_may_not_be_read_is_not_written_over(cluster: FakeCluster, reconciling: Reconciling) -> None:
    """It may belong to another controller: then it lacks our label, and the cache does not have it."""
    foreign = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"schedule": "1 1 1 1 1"}}
    stored = cluster.put(CRONJOBS, foreign)
    cluster.put(PIPELINES, manifest())
    cluster.fail("get", Forbidden("cronjobs is forbidden", code=403), plural="cronjobs", times=99)
    reconcile(reconciling)
    assert ready(cluster).reason == "Forbidden"
    assert cluster.all(CRONJOBS) == [stored]


@pytest.mark.parametrize("verb", ["apply", "get"])
def test_a_missing_permission_on_cronjobs_is_in_the_status(
    cluster: FakeCluster, reconciling: Reconciling, verb: str
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.fail(verb, Forbidden("cronjobs is forbidden", code=403), plural="cronjobs", times=2)
    assert_about(reconcile(reconciling), NOW + timedelta(seconds=5))
    assert (ready(cluster).status, ready(cluster).reason) == ("False", "Forbidden")
    assert "cronjobs is forbidden" in ready(cluster).message
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    reconcile(reconciling)
    assert ready(cluster).status == "True"
