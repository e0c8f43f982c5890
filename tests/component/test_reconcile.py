"""One pipeline over an API server in memory: what is written, in which order, and when it is requeued."""

from datetime import timedelta

import pytest

from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import PipelineStatus
from ingestion_operator.errors import ClusterError, Conflict, Forbidden
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, SECRETS
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, job, manifest, pod, settings
from testing.reconciled import KEY, STATUS, assert_about, not_ready, ready, reasons, reconcile, status
from testing.reconciling import Reconciling


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


def test_a_spec_stored_under_an_older_crd_is_invalid(cluster: FakeCluster, reconciling: Reconciling) -> None:
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
