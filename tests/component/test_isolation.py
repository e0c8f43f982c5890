"""What fails for one object stops nothing else of its pipeline, and a condition names it."""

import pytest

from ingestion_operator import constants
from ingestion_operator.api.status import Condition
from ingestion_operator.errors import ActionsFailed, Forbidden, Unavailable
from ingestion_operator.ports import CRONJOBS, EVENTS, JOBS, PIPELINES, PODS, SECRETS
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink
from testing.objects import NAME, NAMESPACE, Body, at, job, manifest, pod
from testing.reconciling import Reconciling
from testing.reports import KEY, OUT_OF_MEMORY, reconcile, status

DENIED = Forbidden("PATCH jobs/waits: HTTP 403: denied by policy", code=403)


def condition(cluster: FakeCluster, kind: str) -> Condition | None:
    return next((found for found in status(cluster).conditions if found.type == kind), None)


def waits(name: str = "waits", created: float = 100) -> Body:
    body = job(name, created=created, suspended=True, scheduled=False)
    body["metadata"]["annotations"][constants.ANNOTATION_REQUESTED_AT] = at(created)
    return body


@pytest.fixture
def busy(cluster: FakeCluster) -> FakeCluster:
    """A pipeline with a run that has ended unreported, more finished ones than it keeps, and one that may start."""
    cluster.put(
        PIPELINES, manifest(concurrency={"policy": "Allow", "maxActiveRuns": 5}, history={"successful": 1, "failed": 1})
    )
    cluster.put(JOBS, job("ended", condition="Failed", scheduled=False))
    cluster.put(PODS, pod("ended-a", of="ended", **OUT_OF_MEMORY))
    cluster.put(JOBS, job("older", created=-300, ended=-200, condition="Failed", scheduled=False))
    cluster.put(JOBS, waits())
    return cluster


def names(cluster: FakeCluster) -> list[str]:
    return [body["metadata"]["name"] for body in cluster.all(JOBS)]


def test_a_job_that_may_not_be_patched_stops_nothing_else(
    busy: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    busy.fail("merge_patch", DENIED, plural="jobs", times=99)
    for _ in range(3):
        with pytest.raises(ActionsFailed, match=r"Job data/waits: admit failed: .*denied by policy"):
            reconcile(reconciling)
    assert set(sink.rows) == {"uid-ended", "uid-older"}
    assert names(busy) == ["ended", "waits"]
    failed = condition(busy, "ActionsFailed")
    assert failed is not None
    assert failed.message.startswith("Job data/waits: admit failed; will be retried: PATCH jobs/waits: HTTP 403")
    assert [body["reason"] for body in busy.all(EVENTS)].count("ActionsFailed") == 1


def test_other_actions_are_executed_and_the_condition_ends(busy: FakeCluster, reconciling: Reconciling) -> None:
    busy.put(JOBS, waits("second", 101))
    busy.fail("merge_patch", DENIED, plural="jobs")
    with pytest.raises(ActionsFailed):
        reconcile(reconciling)
    suspended = {body["metadata"]["name"]: body["spec"]["suspend"] for body in busy.all(JOBS)}
    assert (suspended["waits"], suspended["second"]) == (True, False)
    assert condition(busy, "ActionsFailed") is not None
    reconcile(reconciling)
    assert condition(busy, "ActionsFailed") is None


def test_a_job_that_may_not_be_deleted_is_named(busy: FakeCluster, reconciling: Reconciling) -> None:
    busy.fail("delete", Forbidden("DELETE jobs/older: HTTP 403: denied", code=403), plural="jobs", times=2)
    for _ in range(2):
        with pytest.raises(ActionsFailed):
            reconcile(reconciling)
    failed = condition(busy, "ActionsFailed")
    assert failed is not None
    assert failed.message.startswith("Job data/older: delete (history limit) failed")
    reconcile(reconciling)
    assert "older" not in names(busy)
    reconcile(reconciling)
    assert condition(busy, "ActionsFailed") is None


def test_a_deletion_that_is_no_longer_due_is_not_a_failure(busy: FakeCluster, reconciling: Reconciling) -> None:
    busy.fail("delete", Forbidden("DELETE jobs/older: HTTP 403: denied", code=403), plural="jobs")
    with pytest.raises(ActionsFailed):
        reconcile(reconciling)
    busy.put(PIPELINES, manifest(history={"successful": 9, "failed": 9}))
    reconcile(reconciling)
    assert condition(busy, "ActionsFailed") is None


def test_a_cronjob_that_cannot_be_written_stops_no_record(busy: FakeCluster, reconciling: Reconciling) -> None:
    failing = Unavailable("PATCH cronjobs/nightly: HTTP 500: failed calling webhook", code=500)
    busy.fail("apply", failing, plural="cronjobs", times=2)
    with pytest.raises(ActionsFailed, match="CronJob data/nightly: apply failed"):
        reconcile(reconciling)
    assert {run.id for run in status(busy).runs if run.report == "Done"} == {"uid-ended", "uid-older"}
    ready = condition(busy, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "NotReconciled")
    with pytest.raises(ActionsFailed):
        reconcile(reconciling)
    reconcile(reconciling)
    ready = condition(busy, "Ready")
    assert ready is not None
    assert (ready.status, condition(busy, "ActionsFailed")) == ("True", None)


def test_a_cronjob_that_may_not_be_suspended_stops_no_record(
    busy: FakeCluster, reconciling: Reconciling, sink: FakeSink
) -> None:
    busy.put(PIPELINES, manifest())
    reconcile(reconciling)
    busy.put(PIPELINES, manifest(suspend=True, schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}))
    busy.put(JOBS, job("later", created=200, ended=260, condition="Failed"))
    busy.fail("merge_patch", Forbidden("denied", code=403), plural="cronjobs")
    with pytest.raises(ActionsFailed, match="CronJob data/nightly: suspend failed: denied"):
        reconcile(reconciling)
    assert "uid-later" in sink.rows
    reconcile(reconciling)
    assert busy.all(CRONJOBS)[0]["spec"]["suspend"] is True


def test_secrets_that_cannot_be_read_stop_no_record(busy: FakeCluster, reconciling: Reconciling) -> None:
    busy.put(SECRETS, {"metadata": {"name": "shop", "namespace": NAMESPACE}, "data": {"k": "eA=="}})
    busy.put(PIPELINES, manifest(connectionSecretRef={"name": "shop", "key": "k"}))
    busy.fail("get", Unavailable("HTTP 500: key management is away", code=500), plural="secrets")
    with pytest.raises(ActionsFailed, match="Secrets of CronJob data/nightly: read failed"):
        reconcile(reconciling)
    assert len(status(busy).runs) == 3
    reconcile(reconciling)
    ready = condition(busy, "Ready")
    assert ready is not None
    assert ready.status == "True"


@pytest.mark.parametrize(
    "annotation",
    [constants.ANNOTATION_SCHEDULED_AT, constants.ANNOTATION_ADMITTED_AT, constants.ANNOTATION_STOP, "all of them"],
)
def test_an_unreadable_annotation_of_a_job_stops_nothing(
    busy: FakeCluster, reconciling: Reconciling, sink: FakeSink, annotation: str
) -> None:
    strange = job("strange", created=50)
    keys = [key for key in vars(constants).values() if isinstance(key, str) and key.startswith(constants.GROUP + "/")]
    chosen = keys if annotation == "all of them" else [annotation]
    strange["metadata"]["annotations"] |= dict.fromkeys(chosen, "tonight, \x00 or so")
    busy.put(JOBS, strange)
    for _ in range(2):
        reconcile(reconciling)
    assert {"uid-ended", "uid-older"} <= set(sink.rows)
    assert "uid-strange" in {run.id for run in status(busy).runs}
    assert next(body for body in busy.all(JOBS) if body["metadata"]["name"] == "waits")["spec"]["suspend"] is False


def test_an_invalid_spec_stops_no_kill_record_or_report(
    cluster: FakeCluster, reconciling: Reconciling, sink: FakeSink, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    cluster.put(JOBS, job("ended", condition="Failed"))
    cluster.put(JOBS, job("running", created=10))
    cluster.put(PODS, pod("running-a", of="running", created=11, running=True))
    broken = manifest(pipelineType="of-old")
    broken["metadata"]["annotations"] = {constants.ANNOTATION_KILL: at(20)}
    cluster.put(PIPELINES, broken)
    clock.forward(seconds=20)
    reconcile(reconciling)
    ready = condition(cluster, "Ready")
    assert ready is not None
    assert (ready.reason, ready.observed_generation) == ("InvalidSpec", 2)
    assert set(sink.rows) == {"uid-ended"}
    (running,) = (body for body in cluster.all(JOBS) if body["metadata"]["name"] == "running")
    assert running["spec"]["activeDeadlineSeconds"] == 1


def test_nothing_is_done_in_a_scope_that_is_not_in_the_cache_yet(
    busy: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    again = reconciling.reconciler.reconcile(KEY)
    assert again is not None
    assert again > clock.moment
    assert busy.calls == []
    assert NAME not in names(busy)
