"""Pods that are evicted, drained, preempted, or fill their scratch volume."""

import json
from typing import Any, Final

from kubernetes import client

from ingestion_operator import constants
from testing.install import OPERATOR, apply, wait_for_rollout
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case, Setup
from tests.scenarios.faults.cases.api_calls import ENDLESS
from tests.scenarios.faults.trial import Trial
from tests.scenarios.faults.verdict import Expected

_FREE: Final = 5
"""retry.disruptions of a pipeline that does not name it."""

_REPEATED: Final = Expected("success", ("Succeeded",), ("runner",), most_rows=2, log=application.LAST_WORDS)
"""A run that was disrupted once; the runner of the first pod may report its interruption."""

_SLOT: Final = "chaos.example.com/slot"
_PRIORITY: Final = "chaos-high"
_BACK_OFF_SECONDS: Final = 200
"""Kubernetes doubles the pause before the next pod, from 10 s on."""


def evicted_too_often(trial: Trial) -> None:
    run = trial.start(trial.light(seconds=ENDLESS))
    for _ in range(_FREE + 1):
        _evict(trial, run)
    trial.disturbed()
    trial.wait_until_recorded(run, timeout=60)


def evicted_once(trial: Trial) -> None:
    run = trial.start(trial.light(seconds=15))
    trial.wait_until_working(run)
    trial.disturbed()
    _evict(trial, run)
    trial.wait_until_recorded(run)
    _check_disruptions(trial, run)


def evicted_at_limit_zero(trial: Trial) -> None:
    """With retry.disruptions 0 the first eviction is the end."""
    run = trial.start(trial.light(seconds=ENDLESS, retry={"disruptions": 0}))
    _evict(trial, run)
    trial.disturbed()
    trial.wait_until_recorded(run, timeout=60)


def drained(trial: Trial) -> None:
    """The pods of the run and of the operator are drained; the node takes pods again half a minute later at most."""
    cluster = trial.installation.cluster
    run = trial.start(trial.light(seconds=15))
    trial.wait_until_working(run)
    trial.disturbed()
    node = cluster.kubectl("get", "nodes", "-o", "name").strip()
    try:
        for selector in (f"{constants.LABEL_MANAGED_BY}={constants.MANAGED_BY}", f"app.kubernetes.io/name={OPERATOR}"):
            options = ("--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=45s")
            cluster.kubectl("drain", node, f"--pod-selector={selector}", *options, timeout=60)
    finally:
        cluster.kubectl("uncordon", node)
    wait_for_rollout(cluster, trial.target.operator_namespace, OPERATOR)
    trial.recovered()
    trial.wait_until_recorded(run)
    _check_disruptions(trial, run)


def preempted(trial: Trial) -> None:
    """The node has one slot of an invented resource; a pod of higher priority takes it and leaves again."""
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": _PRIORITY}}
    template = application.light_template(15)
    template["container"]["resources"]["requests"][_SLOT] = "1"
    template["container"]["resources"]["limits"][_SLOT] = "1"
    apply(trial.installation.cluster, priority | {"value": 1000})
    _offer_slots(trial, "1")
    try:
        run = trial.start(trial.light(podTemplate=template))
        trial.wait_until_working(run)
        trial.disturbed()
        rival = _rival(trial)
        trial.installation.apply(rival)
        name = rival["metadata"]["name"]
        trial.installation.kubectl("wait", "pod", name, "--for=condition=Ready", "--timeout=90s", timeout=100)
        trial.installation.kubectl("delete", "pod", name, "--grace-period=1")
        trial.recovered()
        trial.wait_until_recorded(run)
    finally:
        _offer_slots(trial, None)
        trial.installation.cluster.kubectl("delete", "priorityclass", _PRIORITY)
    _check_disruptions(trial, run)


def _offer_slots(trial: Trial, number: str | None) -> None:
    cluster = trial.installation.cluster
    node = cluster.kubectl("get", "nodes", "-o", "name").strip()
    patch = json.dumps({"status": {"capacity": {_SLOT: number}, "allocatable": {_SLOT: number}}})
    cluster.kubectl("patch", node, "--subresource=status", "--type=merge", "--patch", patch)


def scratch_full(trial: Trial) -> None:
    template = application.light_template(ENDLESS, fills_mib=64)
    run = trial.start(trial.light(podTemplate=template))
    trial.wait_until_recorded(run)


def _evict(trial: Trial, run: str) -> None:
    """Evict the pod of the run that works, or the next one that will."""
    observer, namespace = trial.target.observer, trial.installation.namespace
    seen = observer.wait("a pod to work", lambda seen: bool(seen.working), run, timeout=_BACK_OFF_SECONDS)
    pod = next(iter(seen.working))
    trial.target.core.create_namespaced_pod_eviction(
        pod, namespace, client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=namespace))
    )

    def is_gone() -> bool:
        text = trial.installation.kubectl("get", "pod", pod, "--ignore-not-found", "-o", "jsonpath={.status.phase}")
        return text in ("", "Failed", "Succeeded")

    wait_for("the evicted pod to end", is_gone, timeout=60)
    observer.wait("its end to be seen", lambda seen: pod not in seen.working, run, timeout=10)


def _check_disruptions(trial: Trial, run: str) -> None:
    record = trial.target.observer.seen(run).record or {}
    assert record.get("disruptions") == 1, f"the record counts {record.get('disruptions')} disruptions, not 1"


def _rival(trial: Trial) -> dict[str, Any]:
    container = {
        "name": "rival",
        "image": trial.installation.images["fake-openmetadata"],
        "command": ["/bin/sleep", "600"],
        "resources": {"requests": {_SLOT: "1"}, "limits": {_SLOT: "1"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{trial.name}-rival"},
        "spec": {
            "priorityClassName": _PRIORITY,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": security,
            "containers": [container],
        },
    }


DISRUPTIONS: Final = (
    Case(
        "evicted-too-often",
        f"{_FREE + 1} evictions by the eviction API, one more than retry.disruptions allows by default",
        evicted_too_often,
        Expected("failed", ("DisruptedTooOften",), ("operator",), most_rows=_FREE + 2),
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=420,
    ),
    Case(
        "evicted-once",
        "one eviction by the eviction API",
        evicted_once,
        _REPEATED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=110,
    ),
    Case(
        "evicted-at-limit-zero",
        "one eviction, with retry.disruptions 0",
        evicted_at_limit_zero,
        Expected("failed", ("DisruptedTooOften",), ("operator",), most_rows=2),
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=90,
    ),
    Case(
        "drained",
        "kubectl drain, of the pods of the run and of the operator",
        drained,
        _REPEATED,
        place="exclusive",
        is_timed=False,
        about_seconds=120,
    ),
    Case(
        "preempted",
        "a pod of higher priority takes the run's place on the node",
        preempted,
        _REPEATED,
        place="own",
        is_timed=False,
        most_restarts=0,
        about_seconds=150,
    ),
    Case(
        "scratch-full",
        "the run writes more into its scratch volume than settings.scratch.sizeLimit allows",
        scratch_full,
        Expected("failed", ("Evicted",), ("operator",), most_rows=2),
        place="own",
        setup=Setup(settings={"scratch": {"sizeLimit": "16Mi"}}),
        is_timed=False,
        most_restarts=0,
        about_seconds=120,
    ),
)
