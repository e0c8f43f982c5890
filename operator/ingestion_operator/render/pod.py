"""The pod of a run: no rights, read-only root, secrets as files, its input as an annotation."""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.errors import Rejected
from ingestion_operator.models.pipeline import PipelineType
from ingestion_operator.models.pod_template import KeyReference
from ingestion_operator.models.resource import Pipeline
from ingestion_operator.render.layers import merge
from ingestion_operator.render.run_input import run_input
from ingestion_operator.schedule import duration_seconds
from ingestion_operator.settings import Settings

_TERMINATION_GRACE_SECONDS: Final = 30
"""Time for the runner to end the workflow and to report that it was interrupted."""

RUNNABLE_PIPELINE_TYPES: Final[tuple[PipelineType, ...]] = ("metadata",)
"""Types that the runner has a workflow template for."""

_BUILT_IN_LAYER: Final[dict[str, Any]] = {
    # Importing openmetadata-ingestion alone takes 265-270 MB; 2,000 tables took 430 MB.
    "container": {"resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}}
}


def labels(pipeline: Pipeline) -> dict[str, str]:
    """Return the labels of every object that belongs to a pipeline."""
    return {
        constants.LABEL_MANAGED_BY: constants.MANAGED_BY,
        constants.LABEL_PIPELINE: pipeline.cronjob_name,
        constants.LABEL_PIPELINE_TYPE: pipeline.spec.pipeline_type,
    }


def pod_template(pipeline: Pipeline, settings: Settings) -> dict[str, Any]:
    """Return the pod template of a pipeline's runs.

    Raises Rejected for what no pod can be made of: an unknown server version, a service account that the
    settings do not allow, an input too large.
    """
    spec = pipeline.spec
    _check_pipeline_type(spec.pipeline_type)
    merged = _BUILT_IN_LAYER
    for layer in settings.pod_template_layers(spec.pipeline_type, spec.service.type, spec.service.name):
        merged = merge(merged, layer)
    merged = merge(merged, spec.pod_template.as_dict())
    pod, metadata = merged.get("spec", {}), merged.get("metadata", {})
    _check_service_account(pod.get("serviceAccountName"), settings)
    own_volumes, own_mounts = _volumes(pipeline)
    security = pod.get("securityContext", {})
    pod_spec = {
        **pod,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _TERMINATION_GRACE_SECONDS,
        "securityContext": {
            "runAsUser": constants.RUNNER_USER,
            "runAsGroup": constants.RUNNER_USER,
            "fsGroup": constants.RUNNER_USER,
            **security,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(merged["container"], own_mounts, settings.runner_image(spec.server.version).image)],
        "volumes": own_volumes + pod.get("volumes", []),
    }
    if spec.timeout is not None:
        # On the pod, not on the Job: the timeout is that of one attempt.
        pod_spec["activeDeadlineSeconds"] = duration_seconds(spec.timeout)
    return {
        "metadata": {
            "labels": _without_own(metadata.get("labels", {}))
            | labels(pipeline)
            | {constants.LABEL_VERSION: settings.runner_image(spec.server.version).version},
            "annotations": _without_own(metadata.get("annotations", {}))
            | {
                constants.ANNOTATION_PIPELINE_NAME: pipeline.name,
                constants.ANNOTATION_RUN_INPUT: run_input(pipeline),
            },
        },
        "spec": pod_spec,
    }


def _check_pipeline_type(pipeline_type: PipelineType) -> None:
    if pipeline_type not in RUNNABLE_PIPELINE_TYPES:
        raise Rejected(
            "UnsupportedPipelineType",
            f"spec.pipelineType {pipeline_type!r} cannot be run by this version of the runner: "
            f"use {', '.join(RUNNABLE_PIPELINE_TYPES)}",
        )


def _without_own(entries: dict[str, str]) -> dict[str, str]:
    """Drop keys of this program's own: a run id in a template would make all runs one."""
    return {key: value for key, value in entries.items() if not key.startswith(f"{constants.GROUP}/")}


def _check_service_account(name: str | None, settings: Settings) -> None:
    if name is not None and name not in settings.allowed_service_accounts:
        raise Rejected(
            "ServiceAccountNotAllowed",
            f"podTemplate.spec.serviceAccountName {name!r} is not allowed: remove it, or let an administrator "
            "add it to allowedServiceAccounts in the operator's settings",
        )


def _container(container: dict[str, Any], mounts: list[dict[str, Any]], image: str) -> dict[str, Any]:
    return {
        "name": constants.RUNNER_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **container,
        "env": [
            _downward("RUN_ID", f"metadata.annotations['{constants.ANNOTATION_RUN_ID}']"),
            _downward("JOB_UID", f"metadata.labels['{constants.LABEL_JOB_UID}']"),
            _downward("POD_NAME", "metadata.name"),
            _downward("NODE_NAME", "spec.nodeName"),
            {"name": "HOME", "value": constants.TEMPORARY_DIRECTORY},
            *container.get("env", []),
        ],
        "volumeMounts": mounts + container.get("volumeMounts", []),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _downward(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _volumes(pipeline: Pipeline) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes that every run has and those its secrets need, and where they are mounted."""
    field = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{constants.ANNOTATION_RUN_INPUT}']"}
    volumes: list[dict[str, Any]] = [
        {"name": "pipeline", "downwardAPI": {"items": [{"path": "pipeline.json", "fieldRef": field}]}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "pipeline", "mountPath": constants.PIPELINE_DIRECTORY, "readOnly": True},
        {"name": "tmp", "mountPath": constants.TEMPORARY_DIRECTORY},
    ]
    for name, directory, reference in (
        ("token", constants.TOKEN_DIRECTORY, pipeline.spec.server.token_secret_ref),
        ("connection", constants.CONNECTION_DIRECTORY, pipeline.spec.connection_secret_ref),
        ("source-config", constants.SOURCE_CONFIG_DIRECTORY, pipeline.spec.source_config_secret_ref),
    ):
        if reference is not None:
            volumes.append(_secret_volume(name, reference))
            mounts.append({"name": name, "mountPath": directory, "readOnly": True})
    return volumes, mounts


def _secret_volume(name: str, reference: KeyReference) -> dict[str, Any]:
    return {
        "name": name,
        "secret": {"secretName": reference.name, "items": [{"key": reference.key, "path": name}]},
    }
