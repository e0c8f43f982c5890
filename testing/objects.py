"""Objects as the API server returns them, for tests: pipelines, settings, Jobs and Pods, each with what matters."""

from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from ingestion_operator import constants
from ingestion_operator.api.resource import Pipeline
from ingestion_operator.api.settings import Settings
from ingestion_operator.api.status import Run
from ingestion_operator.k8s.diff import fingerprint
from ingestion_operator.k8s.naming import cronjob_name
from ingestion_operator.k8s.timestamps import format_timestamp
from ingestion_operator.runs.classify import classify
from ingestion_operator.runs.jobs import Job, read_job
from ingestion_operator.runs.pods import Pod, read_pod

Body = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMESPACE = "data"
NAME = "nightly"
UID = "11111111-1111-4111-8111-111111111111"

SETTINGS: Body = {
    "runnerImages": {
        "1.13": {"image": "registry.example/runner:1.13", "version": "1.13.2.0"},
        "2.0": {"image": "registry.example/runner:2.0", "version": "2.0.6.0"},
    },
    "defaultServerVersion": "2.0",
}


def settings(**changes: Any) -> Settings:
    """Valid settings; `changes` are camelCase fields."""
    return Settings.model_validate(SETTINGS | changes)


def spec(**changes: Any) -> Body:
    """The smallest valid spec with a schedule; `changes` are camelCase fields, None removes one."""
    smallest: Body = {
        "pipelineType": "metadata",
        "service": {"type": "databaseService", "name": "shop"},
        "sourceConfig": {"config": {"type": "DatabaseMetadata"}},
        "server": {"hostPort": "http://openmetadata:8585/api"},
        "schedule": {"cron": "0 2 * * *"},
    }
    return {key: deepcopy(value) for key, value in (smallest | changes).items() if value is not None}


def manifest(name: str = NAME, namespace: str = NAMESPACE, **changes: Any) -> Body:
    """What a user applies."""
    return {
        "apiVersion": constants.API_VERSION,
        "kind": constants.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec(**changes),
    }


def pipeline(
    name: str = NAME, *, uid: str = UID, generation: int = 1, status: Body | None = None, **changes: Any
) -> Pipeline:
    """A pipeline as the API server has stored it; `changes` are fields of the spec."""
    body = manifest(name, **changes)
    body["metadata"] |= {"uid": uid, "generation": generation, "resourceVersion": "1"}
    return Pipeline.parse(body | ({"status": status} if status else {}))


def at(seconds: float = 0) -> str:
    """A timestamp so many seconds after NOW."""
    return format_timestamp(datetime.fromtimestamp(NOW.timestamp() + seconds, UTC))


def job(
    name: str = "nightly-1",
    *,
    uid: str | None = None,
    created: float = 0,
    condition: str | None = None,
    reason: str = "BackoffLimitExceeded",
    ended: float = 60,
    suspended: bool = False,
    backoff_limit: int = 0,
    scheduled: bool = True,
    run_id: str | None = None,
    pipeline_name: str = NAME,
    owner: str = "",
    owner_kind: str = constants.KIND,
) -> Body:
    """A Job of a pipeline; `condition` is the type of a condition that is True, times are seconds after NOW.

    `owner` is the uid of its controller, a pipeline or a CronJob.
    """
    annotations = {constants.ANNOTATION_PIPELINE_NAME: pipeline_name}
    if scheduled:
        annotations[constants.ANNOTATION_SCHEDULED_AT] = at(created)
    body: Body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid or f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": at(created),
            "labels": {constants.LABEL_PIPELINE: cronjob_name(pipeline_name)},
            "annotations": annotations,
        },
        "spec": {
            "suspend": suspended,
            "backoffLimit": backoff_limit,
            "template": {"metadata": {"annotations": {constants.ANNOTATION_RUN_ID: run_id} if run_id else {}}},
        },
        "status": {},
    }
    if owner:
        reference = {"kind": owner_kind, "name": pipeline_name, "uid": owner, "controller": True}
        body["metadata"]["ownerReferences"] = [reference]
    if condition is not None:
        found = {"type": condition, "status": "True", "lastTransitionTime": at(ended)}
        if condition in ("Failed", "FailureTarget"):
            found |= {"reason": reason, "message": "Job has reached the specified backoff limit"}
        body["status"]["conditions"] = [found]
    return body


def job_to_create(
    name: str, namespace: str, owner: str, *, pipeline_name: str, suspend: bool = False, annotations: Body | None = None
) -> Body:
    """A manual run as a client creates it in a real API server, with the pipeline's uid. No node takes its pod."""
    labels = {constants.LABEL_PIPELINE: cronjob_name(pipeline_name)}
    container = {"name": constants.RUNNER_CONTAINER, "image": "localhost/none:1"}
    pod_spec = {"restartPolicy": "Never", "schedulerName": "none", "containers": [container]}
    pipeline_reference = {"apiVersion": constants.API_VERSION, "kind": constants.KIND, "name": pipeline_name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {constants.ANNOTATION_PIPELINE_NAME: pipeline_name} | (annotations or {}),
            "ownerReferences": [pipeline_reference | {"uid": owner, "controller": True}],
        },
        "spec": {"suspend": suspend, "template": {"metadata": {"labels": labels}, "spec": pod_spec}},
    }


def growing(*sizes: str, memory: str = "512Mi", retries: int = 0, step: str = "", failed: int = 0, **more: Any) -> Body:
    """A Job whose run is repeated with `sizes` after `memory`; with a `step` it is suspended and gets that next."""
    body = job(backoff_limit=retries + len(sizes), suspended=bool(step), **more)
    body["metadata"]["annotations"][constants.ANNOTATION_MEMORY_LIMITS] = ",".join(sizes)
    body["spec"]["template"]["spec"] = _containers(memory)
    if step:
        body["metadata"]["annotations"][constants.ANNOTATION_NEXT_MEMORY_LIMIT] = step
        body["status"]["conditions"] = [{"type": "Suspended", "status": "True", "lastTransitionTime": at(55)}]
    if failed:
        body["status"]["failed"] = failed
    return body


def _containers(memory: str) -> Body:
    resources = {"limits": {"memory": memory}, "requests": {"memory": "256Mi"}}
    return {"containers": [{"name": "sidecar"}, {"name": constants.RUNNER_CONTAINER, "resources": resources}]}


def pod(
    name: str = "nightly-1-a",
    *,
    of: str = "nightly-1",
    created: float = 1,
    phase: str | None = None,
    running: bool = False,
    exit_code: int | None = None,
    ended: float = 50,
    terminated_reason: str | None = None,
    message: str = "",
    waiting: tuple[str, str] | None = None,
    status_reason: str | None = None,
    status_message: str = "",
    disrupted: str | None = None,
    unschedulable: str | None = None,
    node_lost: bool = False,
    memory: str | None = None,
    pipeline_name: str = NAME,
) -> Body:
    """A pod of the Job `of`; without further words it has been created and waits."""
    status: Body = {"phase": phase or "Pending", "conditions": []}
    state: Body = {}
    if running:
        status["phase"], state = "Running", {"running": {"startedAt": at(created + 1)}}
    if exit_code is not None:
        status["phase"] = "Succeeded" if exit_code == 0 else "Failed"
        default = "Completed" if exit_code == 0 else "Error"
        state = {
            "terminated": {
                "exitCode": exit_code,
                "reason": terminated_reason or default,
                "startedAt": at(created + 1),
                "finishedAt": at(ended),
                "message": message,
            }
        }
    if waiting is not None:
        state = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
    if state:
        status["containerStatuses"] = [
            {"name": "sidecar", "state": {"running": {"startedAt": at(0)}}},
            {"name": constants.RUNNER_CONTAINER, "state": state},
        ]
    if status_reason is not None:
        status |= {"phase": "Failed", "reason": status_reason, "message": status_message}
    if disrupted is not None:
        status["conditions"].append({"type": "DisruptionTarget", "status": "True", "reason": disrupted})
    if unschedulable is not None:
        status["conditions"].append(
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unschedulable}
        )
    if node_lost:
        status["conditions"].append({"type": "Ready", "status": "False", "lastTransitionTime": at(created + 60)})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": at(created),
            "labels": {constants.LABEL_PIPELINE: cronjob_name(pipeline_name)},
            "annotations": {constants.ANNOTATION_PIPELINE_NAME: pipeline_name},
            "ownerReferences": [{"kind": "Job", "name": of, "uid": f"uid-{of}", "controller": True}],
        },
        "spec": {"nodeName": "node-1"} | (_containers(memory) if memory else {}),
        "status": status,
    }


def job_record(name: str = "nightly-1", **fields: Any) -> Job:
    """A Job as the operator's cache has it; `fields` as for `job`."""
    return read_job(job(name, **fields))


def pod_record(name: str = "nightly-1-a", **fields: Any) -> Pod:
    """A pod as the operator's cache has it; `fields` as for `pod`."""
    return read_pod(pod(name, **fields))


def job_records(bodies: Iterable[Body]) -> list[Job]:
    """The records of Jobs."""
    return [read_job(body) for body in bodies]


def pod_records(bodies: Iterable[Body]) -> list[Pod]:
    """The records of pods."""
    return [read_pod(body) for body in bodies]


def run_of(body: Body, pods: Iterable[Body] = ()) -> Run:
    """The run that a Job and its pods are."""
    return classify(read_job(body), pod_records(pods))


def event(
    of: str, reason: str, message: str = "", *, kind: str = "Pod", warning: bool = True, seconds: float = 5
) -> Body:
    """An Event of the object whose uid is `uid-<of>`."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{of}.{reason}.{seconds}".lower(), "namespace": NAMESPACE},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "namespace": NAMESPACE, "name": of, "uid": f"uid-{of}"},
        "firstTimestamp": at(seconds),
        "lastTimestamp": at(seconds),
    }


def refingerprint(cronjob: Body) -> str:
    """The fingerprint that a rendered CronJob must carry."""
    bare = deepcopy(cronjob)
    bare["metadata"]["annotations"].pop(constants.ANNOTATION_FINGERPRINT)
    return fingerprint(bare)
