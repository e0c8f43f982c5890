"""Decides which Jobs of the warm pool to create, to retire, and to use for an automation; pure.

The pool has numbered slots. A Job's name is derived from its slot and from the previous Job in that slot: if several
replicas create the same missing Job, one succeeds and the others get a conflict.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.k8s.objects import (
    annotations_of,
    condition_of,
    created_at,
    is_deleting,
    labels_of,
    true_conditions,
)
from ingestion_operator.k8s.timestamps import read_time
from ingestion_operator.render.warm import IDLE_SECONDS

_EXPIRY_MARGIN: Final = timedelta(seconds=60)
"""How long before the end of a pod's wait it is replaced, and gets no automation any more."""

_GRACE_PERIOD: Final = timedelta(minutes=3)
"""How long a new Job that does not match the settings is kept: another replica may have newer settings, and the two
must not replace each other's Jobs. The kubelet updates mounted settings within two minutes.
"""

_PAUSE_AFTER_FAILURE: Final = timedelta(seconds=60)
_ENDINGS: Final = frozenset({"Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"})
_LABEL_JOB_NAME: Final = "batch.kubernetes.io/job-name"
_HASH_LENGTH: Final = 10


@dataclass(frozen=True)
class WarmJob:
    """A Job of the pool."""

    name: str
    uid: str
    resource_version: str
    slot: int
    fingerprint: str
    run_id: str
    created: datetime
    started: datetime | None
    is_waiting: bool
    """Neither claimed by an automation, nor ended or ending."""

    is_ready: bool
    has_failed: bool
    """Ended before it was claimed, and not because its wait was over."""

    def is_expiring(self, now: datetime) -> bool:
        """Return whether its wait ends soon."""
        return now >= (self.started or self.created) + timedelta(seconds=IDLE_SECONDS) - _EXPIRY_MARGIN


@dataclass(frozen=True)
class Plan:
    """The changes that complete the pool."""

    create: Sequence[tuple[int, str]]
    """Slots, each with the name of its new Job."""

    retire: Sequence[WarmJob]


def read(jobs: Iterable[Mapping[str, Any]]) -> list[WarmJob]:
    """Return the pool's Jobs, oldest first."""
    return sorted((_read(job) for job in jobs), key=lambda job: (job.created, job.name))


def plan(jobs: Sequence[WarmJob], wanted: int, fingerprint: str, start_timeout: timedelta, now: datetime) -> Plan:
    """Return the changes that lead to one waiting Job for each of the first `wanted` slots, and no others.

    A Job that failed is replaced after a pause; a Job that is not ready in time is replaced immediately. Outdated and
    superfluous Jobs are retired after a grace period.
    """
    kept = {job.uid for job in jobs if job.slot >= wanted and now < job.created + _GRACE_PERIOD}
    create: list[tuple[int, str]] = []
    for slot in range(wanted):
        own = [job for job in jobs if job.slot == slot]
        usable = [
            job
            for job in own
            if job.is_waiting
            and (job.fingerprint == fingerprint or now < job.created + _GRACE_PERIOD)
            and (job.is_ready or now < job.created + start_timeout)
        ]
        remaining = [job for job in usable if not job.is_expiring(now)]
        kept |= {job.uid for job in usable if job not in remaining[1:]}
        if not remaining and not (own and own[-1].has_failed and now < own[-1].created + _PAUSE_AFTER_FAILURE):
            create.append((slot, _name(slot, fingerprint, own[-1].uid if own else "")))
    return Plan(create, [job for job in jobs if job.is_waiting and job.uid not in kept])


def claimable(
    jobs: Sequence[WarmJob], pods: Iterable[Mapping[str, Any]], fingerprint: str, now: datetime
) -> list[tuple[WarmJob, str]]:
    """Return the Jobs that can run an automation, each with its pod's address, oldest first."""
    addresses = {labels_of(pod).get(_LABEL_JOB_NAME): str(pod["status"]["podIP"]) for pod in pods if _is_ready(pod)}
    return [
        (job, addresses[job.name])
        for job in jobs
        if job.is_waiting
        and job.fingerprint == fingerprint
        and job.started is not None
        and not job.is_expiring(now)
        and job.name in addresses
    ]


def claim_patch(job: WarmJob, entity_name: str, seconds: int, now: datetime) -> dict[str, Any]:
    """Return the patch with which only one replica can claim the Job; its deadline is in `seconds`."""
    passed = now - (job.started or job.created)
    return {
        "metadata": {
            "resourceVersion": job.resource_version,
            "annotations": {
                constants.ANNOTATION_CLAIMED_AT: f"{now:%Y-%m-%dT%H:%M:%SZ}",
                constants.ANNOTATION_ENTITY_NAME: entity_name,
            },
        },
        "spec": {"activeDeadlineSeconds": max(int(passed.total_seconds()), 0) + seconds},
    }


def has_ended(job: Mapping[str, Any]) -> bool:
    """Return whether the Job has ended and its pod has terminated."""
    return bool(_true(job) & {"Complete", "Failed"})


def _read(job: Mapping[str, Any]) -> WarmJob:
    metadata, status = job["metadata"], job.get("status", {})
    annotations, conditions = annotations_of(job), _true(job)
    is_taken = constants.ANNOTATION_CLAIMED_AT in annotations
    slot = annotations.get(constants.ANNOTATION_WARM_SLOT, "")
    return WarmJob(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        slot=int(slot) if slot.isdecimal() else -1,
        fingerprint=annotations.get(constants.ANNOTATION_FINGERPRINT, ""),
        run_id=annotations_of(job["spec"]["template"]).get(constants.ANNOTATION_RUN_ID, ""),
        created=created_at(job),
        started=read_time(status.get("startTime")),
        is_waiting=not is_taken and not conditions & _ENDINGS and not is_deleting(job),
        is_ready=bool(status.get("ready")),
        has_failed=not is_taken and "Failed" in conditions,
    )


def _true(job: Mapping[str, Any]) -> set[str]:
    return {condition.type for condition in true_conditions(job)}


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return bool(condition_of(pod, "Ready") and pod["status"].get("podIP")) and not is_deleting(pod)


def _name(slot: int, fingerprint: str, predecessor: str) -> str:
    digest = hashlib.sha256(f"{fingerprint} {predecessor}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"warm-{slot}-{digest}"
