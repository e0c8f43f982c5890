"""Why a pod does not start, with a fix; pure functions.

The kubelet and the scheduler report most causes in the pod's status. Only Events show a volume that cannot be mounted
or a pod that cannot be created.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingestion_operator.k8s.objects import Body
from ingestion_operator.runs.truncate import cut

_DETAIL_BYTES: Final = 500
"""Maximum length of a message from Kubernetes, so that the fix still fits into the record."""

_REASON_LIMIT: Final = 64

PENDING: Final = "Pending"
SIDECAR_NOT_STARTED: Final = "SidecarNotStarted"
SILENT: Final = (PENDING, "ContainerCreating", "PodInitializing")
"""Reasons of a waiting pod that name no cause."""


@dataclass(frozen=True)
class Cause:
    """A stable reason and a text that completes a sentence: `Pod x waits: <text>`."""

    reason: str
    text: str


_IMAGE: Final = (
    "its image cannot be pulled",
    "correct the image or the registry's credentials (podTemplate.spec.imagePullSecrets)",
)
_CONTAINER: Final = ("its container cannot be created", "create the missing object, or correct podTemplate")
_BY_REASON: Final = {
    "ImagePullBackOff": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    SIDECAR_NOT_STARTED: (
        "the startupProbe of a sidecar has not succeeded yet",
        "check kubectl logs with -c and its name, or correct podTemplate.sidecars",
    ),
    "CrashLoopBackOff": (
        "a sidecar exits repeatedly",
        "check kubectl logs with -c and its name, or correct podTemplate.sidecars",
    ),
    "InvalidImageName": ("the name of its image is wrong", "correct podTemplate.container.image"),
    "CreateContainerConfigError": _CONTAINER,
    "CreateContainerError": _CONTAINER,
    "Unschedulable": (
        "no node is suitable",
        "add or free capacity, or correct resources, nodeSelector, affinity or tolerations in podTemplate",
    ),
}
_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*"(: ErrImagePull: )?')

_BY_EVENT: Final = (
    (re.compile(r'secret "([^"]+)" not found'), "SecretNotFound", "Secret {} does not exist: create it"),
    (
        re.compile(r"non-existent secret key: (\S+)"),
        "SecretKeyNotFound",
        "a Secret that it mounts has no key {}: add it",
    ),
    (re.compile(r'configmap "([^"]+)" not found'), "ConfigMapNotFound", "ConfigMap {} does not exist: create it"),
    (
        re.compile(r"non-existent config key: (\S+)"),
        "ConfigMapKeyNotFound",
        "a ConfigMap that it mounts has no key {}: add it",
    ),
    (
        re.compile(r"((?:exceeded|failed) quota.*)", re.DOTALL),
        "QuotaExceeded",
        "{}; raise the quota, or lower podTemplate.container.resources",
    ),
    (
        re.compile(r"(violates PodSecurity.*)", re.DOTALL),
        "PodSecurityViolation",
        "it {}; correct podTemplate, or the level that the namespace enforces",
    ),
)


def cause_in_pod(reason: str, message: str) -> Cause:
    """Return the cause in a pod's status: the reason and message of its waiting container."""
    if reason == "ErrImagePull":
        reason = "ImagePullBackOff"  # the two alternate: a single reason keeps the record unchanged
    if reason not in _BY_REASON:
        text = f"{reason}: {message}" if message else reason
        return Cause(reason[:_REASON_LIMIT], text)
    what, fix = _BY_REASON[reason]
    detail = cut(_BACK_OFF.sub("", message), _DETAIL_BYTES)
    return Cause(reason, f"{what}: {detail}; {fix}" if detail else f"{what}; {fix}")


def cause_in_events(events: Sequence[Body]) -> Cause | None:
    """Return the cause in the newest Event of a pod, or of a Job without pods; None if it has none."""
    newest = max(events, key=_moment, default=None)
    if newest is None:
        return None
    reason, message = str(newest.get("reason", "")), str(newest.get("message", ""))
    if newest.get("type") != "Warning":
        return Cause("Pulling", "its image is being pulled") if reason == "Pulling" else None
    for pattern, word, text in _BY_EVENT:
        if found := pattern.search(message):
            return Cause(word, text.format(cut(found.group(1), _DETAIL_BYTES)))
    detail = cut(message, _DETAIL_BYTES)
    if reason == "FailedCreate":
        return Cause(
            "PodRefused", f"Kubernetes rejects it: {detail}; correct podTemplate, or the policy that rejects it"
        )
    return Cause(reason[:_REASON_LIMIT] or "Pending", f"{reason}: {detail}")


def _moment(event: Body) -> tuple[str, str]:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""
    # Of two in the same second, the one that first occurred later is newer.
    return str(last)[: len("2026-01-01T00:00:00")], str(event.get("firstTimestamp") or event.get("eventTime") or "")
