"""Parts of Kubernetes objects, which are plain dicts as the API server returns them; pure functions.

An object here is also a part of one that has metadata, such as a pod template.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from ingestion_operator.k8s.timestamps import read_time

Body = dict[str, Any]
"""An object, or a part of one, as a plain dict."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of an object."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition whose status is True."""

    type: str
    reason: str
    message: str
    time: datetime | None


def labels_of(body: Mapping[str, Any]) -> Body:
    """Return the labels of an object, empty if there are none."""
    return (body.get("metadata") or {}).get("labels") or {}


def annotations_of(body: Mapping[str, Any]) -> Body:
    """Return the annotations of an object, empty if there are none."""
    return (body.get("metadata") or {}).get("annotations") or {}


def is_deleting(body: Mapping[str, Any]) -> bool:
    """Return whether the deletion of an object was requested."""
    return bool(body["metadata"].get("deletionTimestamp"))


def created_at(body: Mapping[str, Any]) -> datetime:
    """Return creationTimestamp, which the API server always sets. Raises ValueError if it is missing."""
    moment = read_time(body["metadata"].get("creationTimestamp"))
    if moment is None:
        raise ValueError("creationTimestamp is missing")
    return moment


def owners_of(body: Mapping[str, Any]) -> list[Body]:
    """Return the owner references of an object."""
    return body["metadata"].get("ownerReferences") or []


def controller_of(body: Mapping[str, Any]) -> Owner | None:
    """Return the owner that is the object's controller, or None."""
    for owner in owners_of(body):
        if owner.get("controller"):
            return Owner(intern(owner["kind"]), intern(owner["name"]), intern(owner["uid"]))
    return None


def condition_of(body: Mapping[str, Any], kind: str, status: str = "True") -> Body:
    """Return the condition of a kind that has the status, empty if there is none."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if (one.get("type"), one.get("status")) == (kind, status)), {})


def true_conditions(body: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions whose status is True."""
    return tuple(
        Condition(
            intern(str(one.get("type", ""))),
            intern(str(one.get("reason") or "")),
            str(one.get("message") or ""),
            read_time(one.get("lastTransitionTime")),
        )
        for one in (body.get("status") or {}).get("conditions") or []
        if one.get("status") == "True"
    )
