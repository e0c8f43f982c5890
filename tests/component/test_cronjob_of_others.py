"""What other clients and admission make of a CronJob: restored, accepted, or left alone for a while."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.status import Condition
from ingestion_operator.errors import Invalid
from ingestion_operator.ports import CRONJOBS, EVENTS, PIPELINES, Kind
from ingestion_operator.reporting.reporter import Reporter
from testing.fake_clock import FakeClock
from testing.fake_cluster import FakeCluster
from testing.fake_sink import FakeSink, reporter_over
from testing.objects import NAME, NAMESPACE, NOW, Body, manifest, settings
from testing.reconciling import Reconciling
from testing.reports import reconcile, status

JOB = ("spec", "jobTemplate", "spec")
POD = (*JOB, "template", "spec")
ADDITIONS: list[tuple[tuple[str, ...], Any]] = [
    ((*JOB, "completions"), 3),
    ((*JOB, "parallelism"), 3),
    ((*JOB, "activeDeadlineSeconds"), 5),
    ((*JOB, "suspend"), True),
    ((*POD, "nodeSelector"), {"gpu": "yes"}),
    ((*POD, "hostNetwork"), True),
    ((*POD, "serviceAccountName"), "cluster-admin"),
]


def condition(cluster: FakeCluster, kind: str) -> Condition | None:
    return next((found for found in status(cluster).conditions if found.type == kind), None)


def put(path: tuple[str, ...], value: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = value

    return change


def edit(cluster: FakeCluster, path: tuple[str, ...] = (*JOB, "parallelism"), value: Any = 3) -> None:
    """Change the CronJob as `kubectl edit` does."""
    cluster.edit(CRONJOBS, NAMESPACE, NAME, put(path, value))
    managers = [
        {"manager": "kubectl-edit", "time": "2026-03-01T13:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "kube-controller-manager", "time": "2026-03-01T14:00:00Z", "fieldsV1": {"f:status": {}}},
    ]
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body["metadata"].update(managedFields=managers))


def live(cluster: FakeCluster) -> Body:
    (body,) = cluster.all(CRONJOBS)
    return body


@pytest.mark.parametrize(("path", "value"), ADDITIONS, ids=[path[-1] for path, _ in ADDITIONS])
def test_an_addition_to_the_spec_is_removed_by_one_write(
    cluster: FakeCluster, reconciling: Reconciling, path: tuple[str, ...], value: Any
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    spec = live(cluster)["spec"]
    edit(cluster, path, value)
    cluster.calls.clear()
    reconcile(reconciling)
    assert live(cluster)["spec"] == spec
    assert [call.verb for call in cluster.writes] == ["replace_spec"]
    cluster.calls.clear()
    reconcile(reconciling)
    assert cluster.calls == []


def test_an_edit_of_the_pipeline_removes_additions_too(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    edit(cluster, (*POD, "hostNetwork"), value=True)
    cluster.put(PIPELINES, manifest(timeout="1h"))
    reconcile(reconciling)
    pod = live(cluster)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "hostNetwork" not in pod
    assert pod["activeDeadlineSeconds"] == 3600


def test_the_third_restore_waits_and_the_manager_is_named(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    for _ in range(2):
        edit(cluster)
        reconcile(reconciling)
        assert live(cluster)["spec"]["jobTemplate"]["spec"]["parallelism"] == 1
        assert condition(cluster, "Contested") is None
    edit(cluster)
    cluster.calls.clear()
    again = reconcile(reconciling)
    contested = condition(cluster, "Contested")
    assert contested is not None
    assert "'kubectl-edit'" in contested.message
    assert [call for call in cluster.writes if call.plural == "cronjobs"] == []
    assert again == clock.moment + timedelta(minutes=1)
    clock.moment = again
    reconcile(reconciling)
    assert live(cluster)["spec"]["jobTemplate"]["spec"]["parallelism"] == 1
    assert [body["reason"] for body in cluster.all(EVENTS)].count("Contested") == 1


def test_a_client_that_edits_for_an_hour_causes_few_writes(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.calls.clear()
    while clock.moment < NOW + timedelta(hours=1):
        edit(cluster)
        reconcile(reconciling)
        clock.forward(seconds=10)
    restores = [call for call in cluster.writes if call.verb == "replace_spec"]
    assert 5 <= len(restores) <= 12
    assert len([call for call in cluster.writes if call.plural == "ingestionpipelines"]) <= 3


def test_a_contest_ends_when_the_cronjob_is_left_alone(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    cluster.put(PIPELINES, manifest())
    for _ in range(4):
        reconcile(reconciling)
        edit(cluster)
    clock.forward(minutes=1)
    reconcile(reconciling)
    assert condition(cluster, "Contested") is not None
    clock.forward(minutes=30)
    reconcile(reconciling)
    assert condition(cluster, "Contested") is None
    edit(cluster)
    reconcile(reconciling)
    assert live(cluster)["spec"]["jobTemplate"]["spec"]["parallelism"] == 1


def test_a_restore_that_fails_is_not_counted(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    edit(cluster)
    cluster.fail("replace_spec", Invalid("refused for now", code=422), times=3)
    for _ in range(3):
        reconcile(reconciling)
    reconcile(reconciling)
    assert live(cluster)["spec"]["jobTemplate"]["spec"]["parallelism"] == 1
    assert condition(cluster, "Contested") is None


class MutatingCluster(FakeCluster):
    """One with a policy that changes every CronJob that is written."""

    def _store(self, kind: Kind, live: Body | None, merged: Body) -> Body:
        if kind == CRONJOBS:
            container = merged["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
            container["image"] = f"mirror.example/{container['image'].removeprefix('mirror.example/')}"
            container["resources"]["limits"]["ephemeral-storage"] = "1Gi"
        return super()._store(kind, live, merged)


@pytest.fixture
def mutating(clock: FakeClock) -> MutatingCluster:
    return MutatingCluster(clock)


@pytest.fixture
def mutated(mutating: MutatingCluster, clock: FakeClock) -> Reconciling:
    return Reconciling(mutating, settings, clock, reporter_of(mutating, clock))


def reporter_of(cluster: FakeCluster, clock: FakeClock) -> Reporter:
    return reporter_over(cluster, FakeSink(), settings, clock)


def test_what_admission_changes_is_accepted_and_reported_once(
    mutating: MutatingCluster, mutated: Reconciling, clock: FakeClock
) -> None:
    resources = {"container": {"resources": {"limits": {"memory": "1Gi"}}}}
    mutating.put(PIPELINES, manifest(podTemplate=resources))
    reconcile(mutated)
    overridden = condition(mutating, "Overridden")
    assert overridden is not None
    assert "containers[0].image" in overridden.message
    assert "containers[0].resources.limits.ephemeral-storage" in overridden.message
    mutating.calls.clear()
    for operator in (mutated, Reconciling(mutating, settings, clock, reporter_of(mutating, clock))):
        for _ in range(3):
            clock.forward(minutes=5)
            reconcile(operator)
    assert mutating.writes == []
    assert [body["reason"] for body in mutating.all(EVENTS)] == ["Overridden"]
    assert live(mutating)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
        "mirror.example/"
    )


class StrippingCluster(FakeCluster):
    """One with a policy that removes or changes metadata of every CronJob that is written."""

    change: Callable[[Body], object]

    def _store(self, kind: Kind, live: Body | None, merged: Body) -> Body:
        if kind == CRONJOBS:
            self.change(merged["metadata"])
        return super()._store(kind, live, merged)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda it: it["annotations"].clear(), constants.ANNOTATION_FINGERPRINT),
        (lambda it: it["annotations"].pop(constants.ANNOTATION_GENERATION, None), constants.ANNOTATION_GENERATION),
        (lambda it: it["labels"].update({constants.LABEL_MANAGED_BY: "platform"}), constants.LABEL_MANAGED_BY),
        (lambda it: it["labels"].pop(constants.LABEL_PIPELINE, None), constants.LABEL_PIPELINE),
    ],
    ids=["annotations", "generation", "label", "pipeline"],
)
def test_metadata_that_admission_takes_away_causes_no_loop(
    clock: FakeClock, change: Callable[[Body], object], named: str
) -> None:
    cluster = StrippingCluster(clock)
    cluster.change = change
    operator = Reconciling(cluster, settings, clock, reporter_of(cluster, clock))
    cluster.put(PIPELINES, manifest())
    reconcile(operator)
    overridden = condition(cluster, "Overridden")
    assert overridden is not None
    assert f"[{named}]" in overridden.message
    cluster.calls.clear()
    for _ in range(10):
        clock.forward(minutes=1)
        reconcile(operator)
    assert cluster.writes == []
    cluster.put(PIPELINES, manifest(timeout="2h"))
    reconcile(operator)
    assert live(cluster)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 7200
    edit(cluster)
    reconcile(operator)
    assert live(cluster)["spec"]["jobTemplate"]["spec"]["parallelism"] == 1
    assert len([call for call in cluster.writes if call.plural == "cronjobs"]) <= 6


def test_a_foreign_edit_is_restored_beside_admissions_changes(mutating: MutatingCluster, mutated: Reconciling) -> None:
    mutating.put(PIPELINES, manifest())
    reconcile(mutated)
    spec = live(mutating)["spec"]
    edit(mutating)
    reconcile(mutated)
    assert live(mutating)["spec"] == spec
    assert condition(mutating, "Overridden") is not None


def test_a_write_of_another_client_in_between_is_seen(cluster: FakeCluster, reconciling: Reconciling) -> None:
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    cluster.put(PIPELINES, manifest(timeout="1h"))
    cluster.interleave("apply", lambda: edit(cluster, (*POD, "hostNetwork"), value=True), plural="cronjobs")
    reconcile(reconciling)
    assert "hostNetwork" not in live(cluster)["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_a_refused_spec_leaves_the_schedule_in_force_alone(
    cluster: FakeCluster, reconciling: Reconciling, clock: FakeClock
) -> None:
    """The dry run is refused before the floor is raised: the old schedule still fires, and loses no tick."""
    cluster.put(PIPELINES, manifest())
    reconcile(reconciling)
    before = live(cluster)
    mounts = {"container": {"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]}}
    cluster.put(PIPELINES, manifest(schedule={"cron": "0 3 * * *"}, podTemplate=mounts))
    for verb in ("dry_run", "apply"):
        cluster.fail(verb, Invalid("422 volumeMounts[0].name: Not found", code=422), plural="cronjobs", times=99)
    for _ in range(5):
        reconcile(reconciling)
        assert live(cluster) == before
        clock.forward(minutes=5)
    ready = condition(cluster, "Ready")
    assert ready is not None
    assert (ready.reason, ready.observed_generation) == ("CronJobRejected", 2)
