"""Runs whose pods are ended, or never start."""

from contextlib import suppress
from typing import Any, Final

from ingestion_operator.errors import NotFound
from testing.waiting import wait_for
from tests.scenarios.faults import application
from tests.scenarios.faults.case import Case
from tests.scenarios.faults.target import PENDING_LIMIT
from tests.scenarios.faults.trial import Trial, kill_by_annotation
from tests.scenarios.faults.verdict import SUCCESS, Expected

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
_KILLED_UNSTARTED: Final = Expected("stopped", ("Killed",), ("operator",), message="before it started")
_INTERRUPTED: Final = Expected(
    "failed", ("Interrupted",), ("operator",), most_rows=2, log="[runner] failed (Interrupted)"
)


def out_of_memory(trial: Trial) -> None:
    _grow(trial, {})


def out_of_memory_once(trial: Trial) -> None:
    _grow(trial, {"onOutOfMemory": {"memoryFactor": 8, "maxMemory": "1Gi"}})


def out_of_memory_for_ever(trial: Trial) -> None:
    _grow(trial, {"onOutOfMemory": {"memoryFactor": 2, "maxMemory": "150Mi"}})


def _grow(trial: Trial, retry: dict[str, Any]) -> None:
    """Begin with less than the import of the library needs."""
    memory = {"requests": {"memory": "100Mi", "cpu": "100m"}, "limits": {"memory": "100Mi"}}
    trial.start(trial.application(podTemplate={"container": {"resources": memory}}, retry=retry))


def deadline(trial: Trial) -> None:
    trial.start(trial.application(seconds=_LONG, timeout="20s"))


def pod_deleted(trial: Trial) -> None:
    run = trial.start(pipeline := trial.application(seconds=_LONG))
    trial.wait_until_running(run)
    trial.disturbed()
    _delete(trial, "pod", "-l", f"ingestion.openmetadata.org/pipeline={pipeline}")


def job_deleted(trial: Trial) -> None:
    run = trial.start(pipeline := trial.application(seconds=_LONG))
    trial.wait_until_running(run)
    trial.disturbed()
    _delete(trial, "job", f"{pipeline}-1")


def killed_queued(trial: Trial) -> None:
    """The one before it in the queue must not be touched."""
    pipeline = trial.application(seconds=15)
    first = trial.start_by_client(pipeline, SUCCESS)
    trial.wait_until_running(first)
    second = trial.start_by_client(pipeline)
    trial.target.observer.wait(
        "the queue", lambda seen: (seen.record or {}).get("state") == "queued", second, timeout=30
    )
    trial.disturbed()
    trial.target.service.kill_ingestion_run(pipeline, second)
    trial.wait_until_recorded(first)


def killed_pending(trial: Trial) -> None:
    pipeline = trial.application(podTemplate={"spec": {"nodeSelector": {"no-node": "has-it"}}})
    run = trial.start_by_client(pipeline)
    trial.target.observer.wait(
        "the cause", lambda seen: (seen.record or {}).get("reason") == "Unschedulable", run, timeout=60
    )
    trial.disturbed()
    trial.target.service.kill_ingestion(pipeline)


def killed_running(trial: Trial) -> None:
    run = trial.start_by_client(pipeline := trial.application(seconds=_LONG))
    trial.wait_until_running(run)
    trial.disturbed()
    trial.target.service.kill_ingestion_run(pipeline, run)


def killed_by_annotation(trial: Trial) -> None:
    run = trial.start(pipeline := trial.application(seconds=_LONG))
    trial.wait_until_running(run)
    trial.disturbed()
    kill_by_annotation(trial, pipeline, run)


def killed_finishing(trial: Trial) -> None:
    """Its work is done and its row is closed; only the process has not ended, for half a second."""
    run = trial.start_by_client(pipeline := trial.application(seconds=3))
    wait_for("the row that the workflow closes", lambda: trial.row(run).get("state") == "success", timeout=150)
    trial.disturbed()
    with suppress(NotFound):  # it was faster
        trial.target.service.kill_ingestion_run(pipeline, run)


def image_missing(trial: Trial) -> None:
    _pending(trial, {"container": {"image": "localhost/does-not-exist:1"}})


def unschedulable(trial: Trial) -> None:
    _pending(trial, {"spec": {"nodeSelector": {"no-node": "has-it"}}})


def secret_missing(trial: Trial) -> None:
    volume = {"name": "extra", "secret": {"secretName": "does-not-exist"}}
    mount = {"name": "extra", "mountPath": "/extra", "readOnly": True}
    _pending(trial, {"spec": {"volumes": [volume]}, "container": {"volumeMounts": [mount]}})


def quota_exceeded(trial: Trial) -> None:
    """No pod is ever made, only a Job that cannot make one."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-devices"}}
    trial.installation.apply({**quota, "spec": {"hard": {f"requests.{_DEVICE}": "0"}}})
    _pending(trial, {"container": {"resources": {"requests": {_DEVICE: "1"}, "limits": {_DEVICE: "1"}}}})


def _pending(trial: Trial, template: dict[str, Any]) -> None:
    trial.start(trial.metadata(podTemplate=template))


def _delete(trial: Trial, kind: str, *which: str) -> None:
    trial.installation.kubectl("delete", kind, *which, "--timeout=50s")


def _never_started(reason: str, words: str) -> Expected:
    return Expected("failed", (reason,), ("operator",), message=words)


PODS: Final = (
    Case(
        "out-of-memory",
        "the container gets 100Mi, less than the library needs",
        out_of_memory,
        Expected("failed", ("OutOfMemory",), ("operator",), message="OutOfMemory"),
    ),
    Case(
        "out-of-memory-once",
        "out of memory with 100Mi, enough with the next size (retry.onOutOfMemory)",
        out_of_memory_once,
        Expected("success", ("Succeeded",), log=application.LAST_WORDS),
    ),
    Case(
        "out-of-memory-for-ever",
        "out of memory with every size up to maxMemory 150Mi (retry.onOutOfMemory)",
        out_of_memory_for_ever,
        Expected("failed", ("OutOfMemory",), ("operator",), message="150Mi"),
    ),
    Case(
        "deadline",
        "the run takes longer than spec.timeout",
        deadline,
        Expected("failed", ("DeadlineExceeded",), ("operator",), most_rows=2, log="[runner] failed (Interrupted)"),
    ),
    Case("pod-deleted", "kubectl delete pod", pod_deleted, _INTERRUPTED),
    Case(
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
    Case("killed-queued", "killed by OpenMetadata while queued", killed_queued, _KILLED_UNSTARTED),
    Case("killed-pending", "killed by OpenMetadata while its pod cannot start", killed_pending, _KILLED_UNSTARTED),
    Case("killed-running", "killed by OpenMetadata while running", killed_running, _KILLED),
    Case("killed-by-annotation", "killed by the annotation kill while running", killed_by_annotation, _KILLED),
    Case(
        "killed-finishing",
        "killed by OpenMetadata after the workflow has reported its success",
        killed_finishing,
        Expected("success", ("Succeeded",), log=application.LAST_WORDS),
    ),
    Case(
        "image-missing",
        f"the image cannot be pulled; startTimeout {PENDING_LIMIT}",
        image_missing,
        _never_started("ImagePullBackOff", "its image cannot be pulled"),
        is_timed=False,
        about_seconds=90,
    ),
    Case(
        "unschedulable",
        f"no node takes the pod; startTimeout {PENDING_LIMIT}",
        unschedulable,
        _never_started("Unschedulable", "no node is suitable"),
        is_timed=False,
        about_seconds=90,
    ),
    Case(
        "secret-missing",
        f"a Secret that the pod mounts is missing; startTimeout {PENDING_LIMIT}",
        secret_missing,
        _never_started("SecretNotFound", "Secret does-not-exist does not exist: create it"),
        is_timed=False,
        about_seconds=90,
    ),
    Case(
        "quota-exceeded",
        f"a quota refuses the pod, the Job has none; startTimeout {PENDING_LIMIT}",
        quota_exceeded,
        _never_started("QuotaExceeded", "no-devices"),
        is_timed=False,
        about_seconds=90,
    ),
)
