"""Rendered CronJobs on a real API server: taken, and contained in what it returns, so that nothing is rewritten."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestion_operator import constants
from ingestion_operator.adapters.kube.client import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Document, KubernetesCluster
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.errors import Conflict, Rejected
from ingestion_operator.k8s.diff import contains
from ingestion_operator.ports import CRONJOBS, EVENTS, PIPELINES, Kind
from ingestion_operator.render.cronjob import cronjob
from testing import requests
from testing.fake_sink import FakeSink, reporter_over
from testing.full_spec import full_spec
from testing.golden import GOLDEN
from testing.live_reconciling import LiveReconciling
from testing.objects import Body, manifest, settings
from testing.reconciling import CronJobs

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTINGS = settings(allowedServiceAccounts=["workload-identity"])


class CountingCluster(KubernetesCluster):
    """The operator's client, counting what it writes."""

    def __init__(self, api: KubernetesCluster) -> None:
        super().__init__(api._api)
        self.writes: list[str] = []

    def _call(self, method: str, path: str, query: Mapping[str, Any], body: Document | None, content_type: str) -> Body:
        if method != "GET":
            dry = "dry run of " if query.get("dryRun") else ""
            verb = {APPLY_PATCH: "apply", MERGE_PATCH: "merge_patch", JSON_PATCH: "replace_spec"}.get(
                content_type, "create"
            )
            plural, _, *subresource = path.split("/namespaces/")[1].split("/")[1:] + [""] * (verb == "create")
            self.writes.append(dry + " ".join([verb, plural, *subresource]))
        return super()._call(method, path, query, body, content_type)


@pytest.fixture
def counting(api: KubernetesCluster) -> CountingCluster:
    return CountingCluster(api)


def store(api: KubernetesCluster, namespace: str, name: str, **changes: Any) -> Pipeline:
    """Create the pipeline, or replace its spec."""
    live = api.get(PIPELINES, namespace, name)
    body = manifest(name, namespace, **changes)
    if live is not None:
        return Pipeline.parse(requests.replace(api, PIPELINES, live | {"spec": body["spec"]}))
    return Pipeline.parse(api.create(PIPELINES, body))


def settled(counting: CountingCluster, found: Pipeline, used: Settings = SETTINGS) -> Body:
    """Reconcile twice; the second time must write nothing."""
    reconciler = CronJobs(counting)
    first = reconciler.reconcile(found, used, NOW)
    assert contains(first, cronjob(found, used, NOW))
    counting.writes.clear()
    second = reconciler.reconcile(found, used, NOW)
    assert counting.writes == []
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    return second


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_rendered_cronjob_is_taken_and_never_written_again(
    counting: CountingCluster, namespace: str, name: str
) -> None:
    used, changes = GOLDEN[name]
    settled(counting, store(counting, namespace, f"golden-{name}", **changes), used)


def test_a_full_pod_template_is_accepted_and_written_once(counting: CountingCluster, namespace: str) -> None:
    template = full_spec()["podTemplate"]
    template["container"]["resources"] = {
        "requests": {"cpu": "0.0001", "memory": "0.5Gi"},
        "limits": {"cpu": 2, "memory": "2048Mi", "ephemeral-storage": "1000000k"},
    }
    settled(counting, store(counting, namespace, "every-field", podTemplate=template))


def test_a_long_or_dotted_name_is_accepted(counting: CountingCluster, namespace: str) -> None:
    for name in ("a" * 120, "shop.nightly", "1.2.3"):
        live = settled(counting, store(counting, namespace, name))
        assert live["metadata"]["annotations"][constants.ANNOTATION_PIPELINE_NAME] == name


def _env(*names: str) -> Body:
    return {"container": {"env": [{"name": name, "value": name.lower()} for name in names]}}


def test_items_may_come_go_and_change_places(counting: CountingCluster, namespace: str) -> None:
    for names in (("A", "B"), ("X", "A", "B"), ("B", "Y", "A"), (), ("A",)):
        live = settled(counting, store(counting, namespace, "moving", podTemplate=_env(*names)))
        containers = live["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert [item["name"] for item in containers[0]["env"]][5:] == list(names)


def _pod(body: Body) -> Any:
    return body["spec"]["jobTemplate"]["spec"]["template"]["spec"]


DRIFTS: dict[str, Callable[[Body], object]] = {
    "the schedule was edited": lambda body: body["spec"].update(schedule="1 1 1 1 1"),
    "the deadline was removed": lambda body: body["spec"].pop("startingDeadlineSeconds"),
    "the image was edited": lambda body: _pod(body)["containers"][0].update(image="evil"),
    "a variable was edited": lambda body: _pod(body)["containers"][0]["env"][4].update(value="/root"),
    "a variable was removed": lambda body: _pod(body)["containers"][0]["env"].pop(),
    "a variable was added": lambda body: _pod(body)["containers"][0]["env"].insert(0, {"name": "EVIL", "value": "1"}),
    "a container was added": lambda body: _pod(body)["containers"].append({"name": "miner", "image": "x"}),
    "the API token was let in": lambda body: _pod(body).pop("automountServiceAccountToken"),
    "a volume was added": lambda body: _pod(body)["volumes"].append({"name": "x", "emptyDir": {}}),
    "the retries were removed": lambda body: body["spec"]["jobTemplate"]["spec"].pop("backoffLimit"),
    "the labels were removed": lambda body: body["metadata"].update(labels={}),
}


@pytest.mark.parametrize("drift", sorted(DRIFTS))
def test_drift_is_repaired(counting: CountingCluster, namespace: str, drift: str) -> None:
    found = store(counting, namespace, f"drift-{sorted(DRIFTS).index(drift)}", podTemplate=_env("A", "B"))
    edited = deepcopy(CronJobs(counting).reconcile(found, SETTINGS, NOW))
    DRIFTS[drift](edited)
    assert not contains(requests.replace(counting, CRONJOBS, edited), cronjob(found, SETTINGS, NOW))
    settled(counting, found)


def test_a_cronjob_of_another_client_is_left_alone(counting: CountingCluster, namespace: str) -> None:
    found = store(counting, namespace, "taken")
    foreign = cronjob(found, SETTINGS, NOW)
    foreign["metadata"] = {"name": "taken", "namespace": namespace}
    before = counting.create(CRONJOBS, foreign)
    with pytest.raises(Rejected) as caught:
        CronJobs(counting).reconcile(found, SETTINGS, NOW)
    assert caught.value.reason == "NameConflict"
    after = counting.get(CRONJOBS, namespace, "taken")
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_cronjob_replaced_before_the_write_is_a_conflict(counting: CountingCluster, namespace: str) -> None:
    found = store(counting, namespace, "replaced")
    CronJobs(counting).reconcile(found, SETTINGS, NOW)

    class Meanwhile(CountingCluster):
        def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
            live = super().get(kind, namespace, name)
            if live is not None:
                requests.delete(self, CRONJOBS, namespace, name)
                foreign = {**live, "metadata": {"name": name, "namespace": namespace}}
                super().create(CRONJOBS, foreign)
            return live

    with pytest.raises(Conflict):
        CronJobs(Meanwhile(counting)).reconcile(store(counting, namespace, "replaced", timeout="1h"), SETTINGS, NOW)
    live = counting.get(CRONJOBS, namespace, "replaced")
    assert live is not None
    assert "ownerReferences" not in live["metadata"]
    assert _pod(live)["activeDeadlineSeconds"] != 3600


def test_a_refusal_by_kubernetes_is_rejected_with_its_message(counting: CountingCluster, namespace: str) -> None:
    resources = {"requests": {"memory": "4Gi"}, "limits": {"memory": "1Gi"}}
    found = store(counting, namespace, "refused", podTemplate={"container": {"resources": resources}})
    with pytest.raises(Rejected, match="must be less than or equal to memory limit") as caught:
        CronJobs(counting).reconcile(found, SETTINGS, NOW)
    assert caught.value.reason == "CronJobRejected"


@pytest.mark.parametrize("cron", ["*/15 0-6,20-22/2 1,15 jan-MAR Mon-fri", "5/10 * * * SUN", "0 2 * * 5-7", "@weekly",
                                  "59 23 31 12 0", "0-59/5 1 29 2 *", "00 02 01 01 *", "1-5/90 * * * *"])  # fmt: skip
def test_kubernetes_takes_what_the_crd_takes_as_a_schedule(
    counting: CountingCluster, namespace: str, cron: str
) -> None:
    settled(counting, store(counting, namespace, "crons", schedule={"cron": cron}))


class _Clock:
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize(
    ("changes", "is_ready", "reported"),
    [
        ({}, "True", []),
        ({"connectionSecretRef": {"name": "missing", "key": "connection"}}, "False", ["SecretNotFound"]),
    ],
    ids=["ready", "not ready"],
)
def test_a_reconcile_writes_status_and_event_once(
    counting: CountingCluster, namespace: str, changes: Any, is_ready: str, reported: list[str]
) -> None:
    clock = _Clock(NOW)
    reporter = reporter_over(counting, FakeSink(), lambda: SETTINGS, clock)
    reconciler = LiveReconciling(counting, namespace, lambda: SETTINGS, clock, reporter)
    name = f"looked-at-{is_ready.lower()}"
    store(counting, namespace, name, **changes)
    counting.writes.clear()
    reconciler.reconcile(name)
    assert counting.writes == [
        "apply cronjobs",
        "apply ingestionpipelines status",
        *("create events" for _ in reported),
    ]
    counting.writes.clear()
    for _ in range(2):
        clock.moment += timedelta(minutes=1)
        reconciler.reconcile(name)
    assert counting.writes == []
    body = counting.get(PIPELINES, namespace, name)
    assert body is not None
    conditions = {condition["type"]: condition["status"] for condition in body["status"]["conditions"]}
    assert conditions == {"Ready": is_ready, "Scheduled": "True"}
    events = [event for event in counting.list(EVENTS, namespace, {}) if event["involvedObject"]["name"] == name]
    assert [event["reason"] for event in events] == reported


def test_a_resumed_schedule_gets_its_floor_before_it_may_fire(counting: CountingCluster, namespace: str) -> None:
    schedule = {"cron": "0 2 1 1 *"}
    reconciler = CronJobs(counting)
    reconciler.reconcile(store(counting, namespace, "resumed", schedule=schedule, suspend=True), SETTINGS, NOW)
    found = store(counting, namespace, "resumed", schedule=schedule)
    counting.writes.clear()
    live = reconciler.reconcile(found, SETTINGS, NOW)
    assert counting.writes == ["dry run of apply cronjobs", "merge_patch cronjobs status", "apply cronjobs"]
    assert live["status"]["lastScheduleTime"] == "2026-03-01T12:00:00Z"
    assert live["spec"]["suspend"] is False
