"""The runner's pod: no permissions, read-only root file system, Secrets as files, the run input as an annotation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.references import KeyReference
from ingestion_operator.api.settings import RunnerImage, ScratchSettings, Settings
from ingestion_operator.errors import Rejected
from ingestion_operator.k8s.quantities import parse_quantity
from ingestion_operator.render.layers import merge_layers

_TERMINATION_GRACE_SECONDS: Final = 30
"""Time in which the runner stops the workflow and reports the interruption."""

SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
_KEEPS_NODE: Final = {SAFE_TO_EVICT: "false", DO_NOT_DISRUPT: "true"}
"""An interrupted run starts from the beginning, so autoscalers must not remove its node to save cost. A layer removes
an annotation by setting it to an empty text."""


@dataclass(frozen=True)
class SecretFile:
    """A key of a Secret, mounted as the file `<directory>/<name>`."""

    name: str
    directory: str
    reference: KeyReference


@dataclass(frozen=True)
class Content:
    """The run input, the Secrets as files, and the labels and annotations of a pod."""

    run_input: str
    files: Sequence[SecretFile]
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)


def runner_pod(
    content: Content, layers: Sequence[dict[str, Any]], image: RunnerImage, settings: Settings
) -> dict[str, Any]:
    """Return the pod template; `layers` are merged over the built-in layer, weakest first.

    Raises:
        Rejected: ServiceAccountNotAllowed: the settings do not allow the service account. SidecarWithoutImage: no layer
            sets the image of a sidecar.
    """
    merged = merge_layers([_built_in_layer(settings.scratch), *layers])
    pod, metadata = merged.get("spec", {}), merged.get("metadata", {})
    _check_service_account(pod.get("serviceAccountName"), settings)
    own_volumes, own_mounts = _volumes(content.files, settings.scratch)
    security = pod.get("securityContext", {})
    sidecars = [_sidecar(sidecar) for sidecar in merged.get("sidecars", [])]
    return {
        "metadata": {
            "labels": _without_own(metadata.get("labels", {}))
            | dict(content.labels)
            | {constants.LABEL_VERSION: image.version},
            "annotations": _without_removed(_without_own(metadata.get("annotations", {})))
            | dict(content.annotations)
            | {constants.ANNOTATION_RUN_INPUT: content.run_input},
        },
        "spec": {
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
            **({"initContainers": sidecars} if sidecars else {}),
            "containers": [_container(merged["container"], own_mounts, image.image)],
            "volumes": own_volumes + pod.get("volumes", []),
        },
    }


def _built_in_layer(scratch: ScratchSettings) -> dict[str, Any]:
    # The import of openmetadata-ingestion takes 265-270 MB; a run over 2,000 tables took 430 MB.
    requests = {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": scratch.request}
    return {
        "metadata": {"annotations": _KEEPS_NODE},
        "container": {"resources": {"requests": requests, "limits": {"memory": "2Gi"}}},
    }


def _without_own(entries: dict[str, str]) -> dict[str, str]:
    """Remove the operator's own keys: all runs of a template with a run id would be one run."""
    return {key: value for key, value in entries.items() if not key.startswith(f"{constants.GROUP}/")}


def _without_removed(annotations: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if value or key not in _KEEPS_NODE}


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
        "securityContext": _restricted(),
    }


def _sidecar(sidecar: dict[str, Any]) -> dict[str, Any]:
    if not sidecar.get("image"):
        raise Rejected(
            "SidecarWithoutImage",
            f"the sidecar {sidecar['name']!r} has no image in any layer: set image in spec.podTemplate.sidecars, "
            "or in a layer of the settings",
        )
    # An init container with restartPolicy Always is a sidecar: a Job does not wait for its end.
    return {"imagePullPolicy": "IfNotPresent", **sidecar, "restartPolicy": "Always", "securityContext": _restricted()}


def _restricted() -> dict[str, Any]:
    """Return the security context of the restricted Pod Security Standard, with a read-only root file system."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _downward(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _volumes(
    files: Sequence[SecretFile], scratch: ScratchSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of every run and of its Secrets, and their mounts."""
    path = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{constants.ANNOTATION_RUN_INPUT}']"}
    volumes: list[dict[str, Any]] = [
        {"name": "pipeline", "downwardAPI": {"items": [{"path": "pipeline.json", "fieldRef": path}]}},
        {"name": "tmp", "emptyDir": {"sizeLimit": scratch.size_limit} if parse_quantity(scratch.size_limit) else {}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "pipeline", "mountPath": constants.PIPELINE_DIRECTORY, "readOnly": True},
        {"name": "tmp", "mountPath": constants.TEMPORARY_DIRECTORY},
    ]
    for file in files:
        item = {"key": file.reference.key, "path": file.name}
        volumes.append({"name": file.name, "secret": {"secretName": file.reference.name, "items": [item]}})
        mounts.append({"name": file.name, "mountPath": file.directory, "readOnly": True})
    return volumes, mounts
