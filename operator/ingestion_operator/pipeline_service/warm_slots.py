"""Which Jobs of the warm pool are to be made, to be given up, and to be given an automation; pure.

The pool has numbered slots. A Job's name follows from its slot and from the Job before it there, so that of several
replicas that miss the same Job one makes it, and the others find the name taken.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.types import parse_timestamp
from ingestion_operator.render.warm import IDLE_SECONDS

_LEAVING: Final = timedelta(seconds=60)
"""So long before a pod's waiting ends another one is made, and it is given nothing any more."""

_SETTLING: Final = timedelta(minutes=3)
"""So long a Job is left alone that is not what is wanted here: another replica may know newer settings already, and the
two must not undo each other's work. The kubelet brings changed settings within two minutes.
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
    """Neither given to an automation, nor ended, nor about to."""

    is_ready: bool
    has_failed: bool
    """Ended otherwise than by having waited in vain, without having been given anything."""

    def is_leaving(self, now: datetime) -> bool:
        """Return whether its waiting is about to end."""
        return now >= (self.started or self.created) + timedelta(seconds=IDLE_SECONDS) - _LEAVING


@dataclass(frozen=True)
class Plan:
    """What makes the pool as it should be."""

    create: Sequence[tuple[int, str]]
    """Slots and the names of their new Jobs."""

    retire: Sequence[WarmJob]


def read(jobs: Iterable[Mapping[str, Any]]) -> list[WarmJob]:
    """Return the pool's Jobs, oldest first."""
    return sorted((_read(job) for job in jobs), key=lambda job: (job.created, job.name))


def plan(jobs: Sequence[WarmJob], wanted: int, fingerprint: str, start_timeout: timedelta, now: datetime) -> Plan:
    """Return what to do: one waiting Job for each of the first `wanted` slots, and none beside them.

    One that fails is made again after a pause; one that is not ready in time, at once. What is outdated or too much
    goes when it has been there for a while.
    """
    kept = {job.uid for job in jobs if job.slot >= wanted and now < job.created + _SETTLING}
    create: list[tuple[int, str]] = []
    for slot in range(wanted):
        own = [job for job in jobs if job.slot == slot]
        usable = [
            job
            for job in own
            if job.is_waiting
            and (job.fingerprint == fingerprint or now < job.created + _SETTLING)
            and (job.is_ready or now < job.created + start_timeout)
        ]
        staying = [job for job in usable if not job.is_leaving(now)]
        kept |= {job.uid for job in usable if job not in staying[1:]}
        if not staying and not (own and own[-1].has_failed and now < own[-1].created + _PAUSE_AFTER_FAILURE):
            create.append((slot, _name(slot, fingerprint, own[-1].uid if own else "")))
    return Plan(create, [job for job in jobs if job.is_waiting and job.uid not in kept])


def takeable(
    jobs: Sequence[WarmJob], pods: Iterable[Mapping[str, Any]], fingerprint: str, now: datetime
) -> list[tuple[WarmJob, str]]:
    """Return the Jobs that may be given an automation, each with its pod's address, oldest first."""
    addresses = {
        pod["metadata"].get("labels", {}).get(_LABEL_JOB_NAME): str(pod["status"]["podIP"])
        for pod in pods
        if _is_ready(pod)
    }
    return [
        (job, addresses[job.name])
        for job in jobs
        if job.is_waiting
        and job.fingerprint == fingerprint
        and job.started is not None
        and not job.is_leaving(now)
        and job.name in addresses
    ]


def take_patch(job: WarmJob, entity_name: str, seconds: int, now: datetime) -> dict[str, Any]:
    """Return the patch by which one replica alone gets the Job, which then has so many seconds from now."""
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
    """Return whether no pod of the Job runs any more."""
    return bool(_conditions(job) & {"Complete", "Failed"})


def _read(job: Mapping[str, Any]) -> WarmJob:
    metadata, status = job["metadata"], job.get("status", {})
    annotations = metadata.get("annotations", {})
    conditions = _conditions(job)
    is_taken = constants.ANNOTATION_CLAIMED_AT in annotations
    slot = annotations.get(constants.ANNOTATION_WARM_SLOT, "")
    created = parse_timestamp(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101  the API server writes it
    return WarmJob(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        slot=int(slot) if slot.isdecimal() else -1,
        fingerprint=annotations.get(constants.ANNOTATION_FINGERPRINT, ""),
        run_id=job["spec"]["template"]["metadata"].get("annotations", {}).get(constants.ANNOTATION_RUN_ID, ""),
        created=created,
        started=parse_timestamp(status.get("startTime")),
        is_waiting=not is_taken and not conditions & _ENDINGS and not metadata.get("deletionTimestamp"),
        is_ready=bool(status.get("ready")),
        has_failed=not is_taken and "Failed" in conditions,
    )


def _conditions(job: Mapping[str, Any]) -> set[str]:
    return {found["type"] for found in job.get("status", {}).get("conditions", []) if found.get("status") == "True"}


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return bool(_conditions(pod) & {"Ready"} and pod["status"].get("podIP")) and not pod["metadata"].get(
        "deletionTimestamp"
    )


def _name(slot: int, fingerprint: str, predecessor: str) -> str:
    digest = hashlib.sha256(f"{fingerprint} {predecessor}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"warm-{slot}-{digest}"
