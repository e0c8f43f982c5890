"""Why a pod does not start, in plain words and with what to do; pure functions.

What the kubelet and the scheduler report is in the pod's status. A volume that cannot be mounted, or a pod that was
never made, shows in Events alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestion_operator.runs.truncate import cut

_DETAIL_BYTES: Final = 500
"""Messages of others are cut, so that what to do still fits into the record."""

_REASON_LIMIT: Final = 64

PENDING: Final = "Pending"
SIDECAR_NOT_STARTED: Final = "SidecarNotStarted"
SILENT: Final = (PENDING, "ContainerCreating", "PodInitializing")
"""Reasons of a pod that name no cause."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """A stable word and a text that goes on a sentence: `Pod x waits: <text>`."""

    reason: str
    text: str


_IMAGE: Final = (
    "its image cannot be pulled",
    "correct the image or the registry's credentials (podTemplate.spec.imagePullSecrets)",
)
_CONTAINER: Final = ("its container cannot be created", "create what it names, or correct podTemplate")
_BY_REASON: Final = {
    "ImagePullBackOff": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    SIDECAR_NOT_STARTED: (
        "the startupProbe of a sidecar has not succeeded yet",
        "see kubectl logs with -c and its name, or correct podTemplate.sidecars",
    ),
    "CrashLoopBackOff": (
        "a sidecar ends again and again",
        "see kubectl logs with -c and its name, or correct podTemplate.sidecars",
    ),
    "InvalidImageName": ("the name of its image is wrong", "correct podTemplate.container.image"),
    "CreateContainerConfigError": _CONTAINER,
    "CreateContainerError": _CONTAINER,
    "Unschedulable": (
        "no node takes it",
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
        "it {}; correct podTemplate, or what the namespace enforces",
    ),
)


def cause_in_pod(reason: str, message: str) -> Cause:
    """Return the cause that a pod itself names: the reason and message for which its container waits."""
    if reason == "ErrImagePull":
        reason = "ImagePullBackOff"  # the two alternate: one word, so that the record stays the same
    if reason not in _BY_REASON:
        text = f"{reason}: {message}" if message else reason
        return Cause(reason[:_REASON_LIMIT], text)
    what, fix = _BY_REASON[reason]
    detail = cut(_BACK_OFF.sub("", message), _DETAIL_BYTES)
    return Cause(reason, f"{what}: {detail}; {fix}" if detail else f"{what}; {fix}")


def cause_in_events(events: Sequence[Event]) -> Cause | None:
    """Return the cause that the newest Event of a pod, or of a Job that gets none, names; None for no cause."""
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
        return Cause("PodRefused", f"Kubernetes refuses it: {detail}; correct podTemplate, or what refuses it")
    return Cause(reason[:_REASON_LIMIT] or "Pending", f"{reason}: {detail}")


def _moment(event: Event) -> tuple[str, str]:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""
    # Of two in the same second the one that is not a repetition is the newer.
    return str(last)[: len("2026-01-01T00:00:00")], str(event.get("firstTimestamp") or event.get("eventTime") or "")
