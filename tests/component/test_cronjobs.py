"""The CronJob of a pipeline over an API server in memory: what is written, and above all what is not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.errors import Conflict, Forbidden, Invalid, Rejected
from ingestion_operator.k8s.diff import contains
from ingestion_operator.ports import CRONJOBS, PIPELINES, SECRETS
from ingestion_operator.render.cronjob import cronjob
from testing.fake_clock import FakeClock
from testing.fake_cluster import Call, FakeCluster
from testing.golden import GOLDEN
from testing.objects import NAME, NAMESPACE, NOW, Body, manifest, settings
from testing.reconciling import CronJobs

SETTINGS = settings()


@pytest.fixture
def cronjobs(cluster: FakeCluster, clock: FakeClock) -> CronJobs:
    return CronJobs(cluster, clock)


def stored(cluster: FakeCluster, **changes: Any) -> Pipeline:
    """Apply a pipeline and read it back."""
    return Pipeline.parse(cluster.put(PIPELINES, manifest(**changes)))


def live(cluster: FakeCluster) -> Body:
    (found,) = cluster.all(CRONJOBS)
    return found


def template(body: Body) -> Any:
    return body["spec"]["jobTemplate"]["spec"]["template"]


def container(body: Body) -> Any:
    return template(body)["spec"]["containers"][0]


def test_the_first_reconciliation_applies_the_cronjob_once(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    found = stored(cluster)
    returned = cronjobs.reconcile(found, SETTINGS, NOW)
    assert returned == live(cluster)
    assert contains(live(cluster), cronjob(found, SETTINGS, NOW))
    assert cluster.writes == [Call("apply", "cronjobs", NAME)]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_an_unchanged_pipeline_costs_no_write(cluster: FakeCluster, cronjobs: CronJobs, name: str) -> None:
    used, changes = GOLDEN[name]
    found = stored(cluster, **changes)
    cronjobs.reconcile(found, used, NOW)
    cluster.calls.clear()
    for _ in range(3):
        cronjobs.reconcile(found, used, NOW + timedelta(minutes=1))
    assert cluster.writes == []


DRIFTS: dict[str, Callable[[Body], object]] = {
    "the schedule was edited": lambda body: body["spec"].update(schedule="* * * * *"),
    "the schedule was suspended manually": lambda body: body["spec"].update(suspend=True),
    "the deadline was removed": lambda body: body["spec"].pop("startingDeadlineSeconds"),
    "the image was edited": lambda body: container(body).update(image="evil"),
    "a variable was removed": lambda body: container(body)["env"].pop(0),
    "a variable was edited": lambda body: container(body)["env"][-1].update(value="/root"),
    "a variable was added": lambda body: container(body)["env"].append({"name": "EXTRA", "value": "x"}),
    "the API token was let in": lambda body: template(body)["spec"].pop("automountServiceAccountToken"),
    "a container was added": lambda body: template(body)["spec"]["containers"].append({"name": "miner", "image": "x"}),
    "all labels were removed": lambda body: body["metadata"]["labels"].clear(),
    "a label was edited": lambda body: body["metadata"]["labels"].update({constants.LABEL_PIPELINE: "other"}),
    "the fingerprint was removed": lambda body: body["metadata"]["annotations"].pop(constants.ANNOTATION_FINGERPRINT),
    "the root file system was made writable": lambda body: container(body)["securityContext"].update(
        readOnlyRootFilesystem=False
    ),
    "the pod's input was edited": lambda body: template(body)["metadata"]["annotations"].update(
        {constants.ANNOTATION_RUN_INPUT: "{}"}
    ),
}


@pytest.mark.parametrize("drift", sorted(DRIFTS))
def test_drift_is_repaired_and_then_nothing_more_is_written(
    cluster: FakeCluster, cronjobs: CronJobs, drift: str
) -> None:
    found = stored(cluster)
    cronjobs.reconcile(found, SETTINGS, NOW)
    cluster.edit(CRONJOBS, NAMESPACE, NAME, DRIFTS[drift])
    cronjobs.reconcile(found, SETTINGS, NOW)
    assert contains(live(cluster), cronjob(found, SETTINGS, NOW))
    cluster.calls.clear()
    cronjobs.reconcile(found, SETTINGS, NOW)
    assert cluster.writes == []


def test_what_others_added_beside_our_fields_is_left_alone(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    found = stored(cluster)
    cronjobs.reconcile(found, SETTINGS, NOW)
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda body: body["metadata"]["labels"].update(theirs="x"))
    cluster.calls.clear()
    cronjobs.reconcile(found, SETTINGS, NOW)
    assert cluster.writes == []
    assert live(cluster)["metadata"]["labels"]["theirs"] == "x"


def test_a_deleted_cronjob_comes_back(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    found = stored(cluster)
    cronjobs.reconcile(found, SETTINGS, NOW)
    cluster.delete(CRONJOBS, NAMESPACE, NAME)
    cronjobs.reconcile(found, SETTINGS, NOW)
    assert contains(live(cluster), cronjob(found, SETTINGS, NOW))


def test_a_field_that_the_spec_no_longer_sets_goes_away(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    env = {"container": {"env": [{"name": "A", "value": "1"}]}, "spec": {"nodeSelector": {"disk": "ssd"}}}
    cronjobs.reconcile(stored(cluster, podTemplate=env, timeout="1h"), SETTINGS, NOW)
    cronjobs.reconcile(stored(cluster), SETTINGS, NOW)
    pod = template(live(cluster))["spec"]
    assert "A" not in {item["name"] for item in container(live(cluster))["env"]}
    assert "nodeSelector" not in pod or pod["nodeSelector"] == {}
    assert pod["activeDeadlineSeconds"] == SETTINGS.default_timeout_seconds


def test_changed_settings_reach_the_cronjob(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    found = stored(cluster)
    cronjobs.reconcile(found, SETTINGS, NOW)
    newer = settings(runnerImages={"2.0": {"image": "runner:2.0-fixed", "version": "2.0.7.0"}})
    cronjobs.reconcile(found, newer, NOW)
    assert container(live(cluster))["image"] == "runner:2.0-fixed"


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [{"kind": "Deployment", "name": "x", "uid": "other", "controller": True}],
        [{"kind": constants.KIND, "name": "another-pipeline", "uid": "other", "controller": True}],
        [{"kind": constants.KIND, "name": NAME, "uid": "other"}],
    ],
    ids=["without an owner", "another controller's", "another pipeline's", "not controlled by its owner"],
)
def test_a_cronjob_of_another_controller_is_left_alone(
    cluster: FakeCluster, cronjobs: CronJobs, owners: list[Body]
) -> None:
    foreign = cluster.put(
        CRONJOBS,
        {
            "metadata": {"name": NAME, "namespace": NAMESPACE, "ownerReferences": owners},
            "spec": {"schedule": "1 1 1 1 1"},
        },
    )
    for changes in ({}, {"suspend": True}):
        with pytest.raises(Rejected, match="delete or rename it, or rename the pipeline") as caught:
            cronjobs.reconcile(stored(cluster, **changes), SETTINGS, NOW)
        assert caught.value.reason == "NameConflict"
    assert live(cluster) == foreign
    assert cluster.writes == []


def test_a_cronjob_of_an_earlier_pipeline_blocks_the_next_one(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    cronjobs.reconcile(stored(cluster), SETTINGS, NOW)
    before = live(cluster)
    successor = Pipeline.parse(cluster.edit(PIPELINES, NAMESPACE, NAME, lambda b: b["metadata"].update(uid="new")))
    cluster.calls.clear()
    with pytest.raises(Rejected, match="is being deleted; a new one is created when it is gone") as caught:
        cronjobs.reconcile(successor, SETTINGS, NOW)
    assert (caught.value.reason, caught.value.is_external) == ("WaitingForDeletion", True)
    assert (live(cluster), cluster.writes) == (before, [])
    cluster.delete(CRONJOBS, NAMESPACE, NAME)
    cronjobs.reconcile(successor, SETTINGS, NOW)
    assert live(cluster)["metadata"]["ownerReferences"][0]["uid"] == "new"


def test_a_cronjob_that_is_being_deleted_is_suspended(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    found = stored(cluster)
    cronjobs.reconcile(found, SETTINGS, NOW)
    cluster.edit(CRONJOBS, NAMESPACE, NAME, lambda b: b["metadata"].update(deletionTimestamp="2026-03-01T12:00:00Z"))
    cluster.calls.clear()
    with pytest.raises(Rejected, match="Check its finalizers") as caught:
        cronjobs.reconcile(found, SETTINGS, NOW)
    assert (caught.value.reason, caught.value.is_external) == ("WaitingForDeletion", True)
    assert live(cluster)["spec"]["suspend"] is True
    with pytest.raises(Rejected):
        cronjobs.reconcile(found, SETTINGS, NOW)
    assert cluster.writes == [Call("merge_patch", "cronjobs", NAME)]


def test_a_cronjob_replaced_before_the_write_is_not_overwritten(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    cronjobs.reconcile(stored(cluster), SETTINGS, NOW)

    def replace() -> None:
        cluster.delete(CRONJOBS, NAMESPACE, NAME)
        cluster.put(CRONJOBS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"schedule": "1 1 1 1 1"}})

    cluster.interleave("apply", replace)
    with pytest.raises(Conflict):
        cronjobs.reconcile(stored(cluster, timeout="1h"), SETTINGS, NOW)
    assert live(cluster)["spec"] == {"schedule": "1 1 1 1 1"}


def test_what_kubernetes_refuses_is_rejected_with_its_message(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    cluster.fail("apply", Invalid("spec.template.spec.containers[0].resources: must be less than limit", code=422))
    with pytest.raises(Rejected, match="must be less than limit") as caught:
        cronjobs.reconcile(stored(cluster), SETTINGS, NOW)
    assert caught.value.reason == "CronJobRejected"


REJECTED = {"schedule": {"cron": "0 2 * * *", "timeZone": "Mars/Olympus"}}


@pytest.mark.parametrize(
    ("changes", "suspended"),
    [
        ({"suspend": True, **REJECTED}, True),
        ({"schedule": None, "server": {"hostPort": "http://x", "version": "0.9"}}, True),
        (REJECTED, False),
    ],
    ids=["paused", "made on demand", "not paused"],
)
def test_an_unusable_spec_that_pauses_suspends_the_cronjob(
    cluster: FakeCluster, cronjobs: CronJobs, changes: Body, suspended: bool
) -> None:
    cronjobs.reconcile(stored(cluster), SETTINGS, NOW)
    for _ in range(2):
        with pytest.raises(Rejected):
            cronjobs.reconcile(stored(cluster, **changes), SETTINGS, NOW)
    assert live(cluster)["spec"]["suspend"] is suspended
    assert len([call for call in cluster.writes if call.verb == "merge_patch"]) == suspended


def test_an_unusable_spec_without_a_cronjob_writes_nothing(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    with pytest.raises(Rejected):
        cronjobs.reconcile(stored(cluster, suspend=True, **REJECTED), SETTINGS, NOW)
    assert cluster.writes == []


SECRET_FIELDS: dict[str, Body] = {
    "server.tokenSecretRef": {"server": {"hostPort": "http://x", "tokenSecretRef": {"name": "s", "key": "k"}}},
    "connectionSecretRef": {"connectionSecretRef": {"name": "s", "key": "k"}},
    "sourceConfigSecretRef": {"sourceConfig": None, "sourceConfigSecretRef": {"name": "s", "key": "k"}},
}


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
def test_a_secret_that_a_run_needs_is_missing_until_it_exists(
    cluster: FakeCluster, cronjobs: CronJobs, clock: FakeClock, field: str
) -> None:
    found = stored(cluster, **SECRET_FIELDS[field])
    with pytest.raises(Rejected, match=f"spec.{field} names Secret data/s, which does not exist: create it") as caught:
        cronjobs.check_secrets(found, SETTINGS, clock.moment)
    assert caught.value.reason == "SecretNotFound"
    secret = cluster.put(SECRETS, {"metadata": {"name": "s", "namespace": NAMESPACE}, "data": {"alice.jones": "eA=="}})
    clock.forward(seconds=5)
    with pytest.raises(Rejected, match="names key 'k', which Secret data/s does not have: add it") as caught:
        cronjobs.check_secrets(found, SETTINGS, clock.moment)
    assert caught.value.reason == "SecretKeyNotFound"
    assert "alice" not in caught.value.message
    cluster.put(SECRETS, secret | {"data": {"k": "eA=="}})
    clock.forward(seconds=10)
    cronjobs.check_secrets(found, SETTINGS, clock.moment)


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
def test_a_secret_that_may_not_be_read_is_named_with_the_fix(
    cluster: FakeCluster, cronjobs: CronJobs, clock: FakeClock, field: str
) -> None:
    found = stored(cluster, **SECRET_FIELDS[field])
    cluster.fail("get", Forbidden("GET …/secrets/s: HTTP 403: forbidden", code=403), plural="secrets")
    with pytest.raises(Rejected, match=f"spec.{field} names Secret data/s, which the operator may not read") as caught:
        cronjobs.check_secrets(found, SETTINGS, clock.moment)
    assert caught.value.reason == "SecretForbidden"
    assert "add data to watch.namespaces" in caught.value.message


def test_a_pipeline_without_secrets_reads_none(cluster: FakeCluster, cronjobs: CronJobs) -> None:
    cronjobs.check_secrets(stored(cluster), SETTINGS, NOW)
    assert [call for call in cluster.calls if call.plural == "secrets"] == []
