"""Runs whose pods are ended, or never start."""

from contextlib import suppress
from typing import Any, Final

from ingestion_operator.errors import NotFound
from tests.chaos import application
from tests.chaos.row import Row
from tests.chaos.scene import Scene, kill_by_annotation
from tests.chaos.stage import PENDING_LIMIT
from tests.chaos.verdict import SUCCESS, Expected
from tests.support.waiting import wait_for

_DEVICE: Final = "example.com/device"
_LONG: Final = 600
"""Seconds: longer than any row."""

_KILLED: Final = Expected(
    "stopped",
    ("Killed",),
    ("operator",),
    most_rows=2,
    message="Stopped on request",
    log="[runner] failed (Interrupted)",
)
_KILLED_UNSTARTED: Final = Expected("stopped", ("Killed",), ("operator",), message="before it began")
_INTERRUPTED: Final = Expected(
    "failed", ("Interrupted",), ("operator",), most_rows=2, log="[runner] failed (Interrupted)"
)


def out_of_memory(scene: Scene) -> None:
    _grow(scene, {})


def out_of_memory_once(scene: Scene) -> None:
    _grow(scene, {"onOutOfMemory": {"memoryFactor": 8, "maxMemory": "1Gi"}})


def out_of_memory_for_ever(scene: Scene) -> None:
    _grow(scene, {"onOutOfMemory": {"memoryFactor": 2, "maxMemory": "150Mi"}})


def _grow(scene: Scene, retry: dict[str, Any]) -> None:
    """Begin with less than the import of the library needs."""
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    scene.start(scene.application(podTemplate={"container": {"resources": memory}}, retry=retry))


def deadline(scene: Scene) -> None:
    scene.start(scene.application(seconds=_LONG, timeout="20s"))


def pod_deleted(scene: Scene) -> None:
    run = scene.start(pipeline := scene.application(seconds=_LONG))
    scene.wait_until_running(run)
    scene.disturbed()
    _delete(scene, "pod", "-l", f"ingestion.openmetadata.org/pipeline={pipeline}")


def job_deleted(scene: Scene) -> None:
    run = scene.start(pipeline := scene.application(seconds=_LONG))
    scene.wait_until_running(run)
    scene.disturbed()
    _delete(scene, "job", f"{pipeline}-1")


def killed_queued(scene: Scene) -> None:
    """The one before it in the queue must not be touched."""
    pipeline = scene.application(seconds=15)
    first = scene.start_by_client(pipeline, SUCCESS)
    scene.wait_until_running(first)
    second = scene.start_by_client(pipeline)
    scene.stage.observer.wait(
        "the queue", lambda seen: (seen.record or {}).get("state") == "queued", second, timeout=30
    )
    scene.disturbed()
    scene.stage.service.kill_ingestion_run(pipeline, second)
    scene.wait_until_recorded(first)


def killed_pending(scene: Scene) -> None:
    pipeline = scene.application(podTemplate={"spec": {"nodeSelector": {"nobody": "has-it"}}})
    run = scene.start_by_client(pipeline)
    scene.stage.observer.wait(
        "the cause", lambda seen: (seen.record or {}).get("reason") == "Unschedulable", run, timeout=60
    )
    scene.disturbed()
    scene.stage.service.kill_ingestion(pipeline)


def killed_running(scene: Scene) -> None:
    run = scene.start_by_client(pipeline := scene.application(seconds=_LONG))
    scene.wait_until_running(run)
    scene.disturbed()
    scene.stage.service.kill_ingestion_run(pipeline, run)


def killed_by_annotation(scene: Scene) -> None:
    run = scene.start(pipeline := scene.application(seconds=_LONG))
    scene.wait_until_running(run)
    scene.disturbed()
    kill_by_annotation(scene, pipeline, run)


def killed_finishing(scene: Scene) -> None:
    """Its work is done and its row is closed; only the process has not ended, for half a second."""
    run = scene.start_by_client(pipeline := scene.application(seconds=3))
    wait_for("the row that the workflow closes", lambda: scene.row(run).get("state") == "success", timeout=150)
    scene.disturbed()
    with suppress(NotFound):  # it was faster
        scene.stage.service.kill_ingestion_run(pipeline, run)


def image_missing(scene: Scene) -> None:
    _pending(scene, {"container": {"image": "localhost/nobody-made-this:1"}})


def unschedulable(scene: Scene) -> None:
    _pending(scene, {"spec": {"nodeSelector": {"nobody": "has-it"}}})


def secret_missing(scene: Scene) -> None:
    volume = {"name": "extra", "secret": {"secretName": "nobody-makes-it"}}
    mount = {"name": "extra", "mountPath": "/extra", "readOnly": True}
    _pending(scene, {"spec": {"volumes": [volume]}, "container": {"volumeMounts": [mount]}})


def quota_exceeded(scene: Scene) -> None:
    """No pod is ever made, only a Job that cannot make one."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-devices"}}
    scene.stage.site.apply({**quota, "spec": {"hard": {f"requests.{_DEVICE}": "0"}}})
    _pending(scene, {"container": {"resources": {"requests": {_DEVICE: "1"}, "limits": {_DEVICE: "1"}}}})


def _pending(scene: Scene, template: dict[str, Any]) -> None:
    scene.start(scene.metadata(podTemplate=template))


def _delete(scene: Scene, kind: str, *which: str) -> None:
    scene.stage.site.kubectl("delete", kind, *which, "--timeout=50s")


def _never_started(reason: str, words: str) -> Expected:
    return Expected("failed", (reason,), ("operator",), message=words)


PODS: Final = (
    Row(
        "out-of-memory",
        "the container gets 100Mi, less than the library needs",
        out_of_memory,
        Expected("failed", ("OutOfMemory",), ("operator",), message="OutOfMemory"),
    ),
    Row(
        "out-of-memory-once",
        "out of memory with 100Mi, enough with the next size (retry.onOutOfMemory)",
        out_of_memory_once,
        Expected("success", ("Succeeded",), log=application.LAST_WORDS),
    ),
    Row(
        "out-of-memory-for-ever",
        "out of memory with every size up to maxMemory 150Mi (retry.onOutOfMemory)",
        out_of_memory_for_ever,
        Expected("failed", ("OutOfMemory",), ("operator",), message="150Mi"),
    ),
    Row(
        "deadline",
        "the run takes longer than spec.timeout",
        deadline,
        Expected("failed", ("DeadlineExceeded",), ("operator",), most_rows=2, log="[runner] failed (Interrupted)"),
    ),
    Row("pod-deleted", "kubectl delete pod", pod_deleted, _INTERRUPTED),
    Row(
        "job-deleted",
        "kubectl delete job",
        job_deleted,
        Expected(
            "failed",
            ("JobDeleted", "Interrupted"),
            ("operator",),
            most_rows=2,
            log="[runner] failed (Interrupted)",
        ),
    ),
    Row("killed-queued", "killed by OpenMetadata while queued", killed_queued, _KILLED_UNSTARTED),
    Row("killed-pending", "killed by OpenMetadata while its pod cannot start", killed_pending, _KILLED_UNSTARTED),
    Row("killed-running", "killed by OpenMetadata while running", killed_running, _KILLED),
    Row("killed-by-annotation", "killed by the annotation kill while running", killed_by_annotation, _KILLED),
    Row(
        "killed-finishing",
        "killed by OpenMetadata after the workflow has told its success",
        killed_finishing,
        Expected("success", ("Succeeded",), log=application.LAST_WORDS),
    ),
    Row(
        "image-missing",
        f"the image cannot be pulled; pendingLimit {PENDING_LIMIT}",
        image_missing,
        _never_started("ImagePullBackOff", "its image cannot be pulled"),
        is_timed=False,
    ),
    Row(
        "unschedulable",
        f"no node takes the pod; pendingLimit {PENDING_LIMIT}",
        unschedulable,
        _never_started("Unschedulable", "no node takes it"),
        is_timed=False,
    ),
    Row(
        "secret-missing",
        f"a Secret that the pod mounts is missing; pendingLimit {PENDING_LIMIT}",
        secret_missing,
        _never_started("SecretNotFound", "Secret nobody-makes-it does not exist: create it"),
        is_timed=False,
    ),
    Row(
        "quota-exceeded",
        f"a quota refuses the pod, the Job has none; pendingLimit {PENDING_LIMIT}",
        quota_exceeded,
        _never_started("QuotaExceeded", "no-devices"),
        is_timed=False,
    ),
)
