"""CronJobs and Jobs as frozen records of the fields that decisions need.

The readers accept any stored object: an annotation with an invalid value is read as absent, so that one object cannot
stop the reconciliation of its pipeline.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from sys import intern
from types import MappingProxyType
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.api.status import RunTarget
from ingestion_operator.k8s.memory import memory_limit_of
from ingestion_operator.k8s.objects import (
    Condition,
    Owner,
    annotations_of,
    controller_of,
    created_at,
    is_deleting,
    labels_of,
    true_conditions,
)
from ingestion_operator.k8s.timestamps import read_time

_TOKEN_VOLUME: Final = "token"  # noqa: S105  the name of a volume
_TARGETS_CACHED: Final = 8192
_targets: dict[bytes, RunTarget | None] = {}
"""Cache of targets: the Jobs of a pipeline share one record per version of its spec."""

_NO_ANNOTATIONS: Final[Mapping[str, str]] = MappingProxyType({})
_ANNOTATIONS: Final = frozenset(
    {
        constants.ANNOTATION_SCHEDULED_AT,
        constants.ANNOTATION_REQUESTED_AT,
        constants.ANNOTATION_ADMITTED_AT,
        constants.ANNOTATION_ADMISSION_HOLD,
        constants.ANNOTATION_STOP,
        constants.ANNOTATION_STOPPED_BY,
        constants.ANNOTATION_TERMINATED_REASON,
        constants.ANNOTATION_MEMORY_LIMITS,
        constants.ANNOTATION_NEXT_MEMORY_LIMIT,
        constants.ANNOTATION_MEMORY_RESIZE_ERROR,
        constants.ANNOTATION_REPLACED_BY,
        constants.ANNOTATION_WINDOW_OPENS_AT,
        constants.ANNOTATION_FINGERPRINT,
        constants.ANNOTATION_GENERATION,
    }
)
"""Annotations of CronJobs and Jobs that the records keep."""


@dataclass(frozen=True, order=True, slots=True)
class PipelineKey:
    """Namespace and name of an IngestionPipeline."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class CronJob:
    """A CronJob."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: datetime
    is_deleting: bool
    owner: Owner | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    schedule: str
    time_zone: str
    is_suspended: bool
    concurrency_policy: str
    starting_deadline_seconds: int | None
    last_schedule_time: datetime | None
    memory_limit: str | None
    """The limit of the runner's container in the Job template."""
    has_larger_memory_limits: bool
    """Whether its runs are retried with more memory."""

    def annotation(self, key: str) -> str:
        """Return a kept annotation; empty if it is absent."""
        return self.annotations.get(key, "")


@dataclass(frozen=True, slots=True)
class Job:
    """The Job of a run."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: datetime
    is_deleting: bool
    owner: Owner | None
    pipeline: str
    """The value of the pipeline label: the name of the pipeline's CronJob."""
    queue_name: str
    """The Kueue queue that admits the Job; empty if this operator does."""
    annotations: Mapping[str, str]
    run_id: str
    """The id of the run: the caller's id, else the Job's UID."""
    is_suspended: bool
    backoff_limit: int
    deadline_seconds: int | None
    memory_limit: str | None
    """The memory limit of the next pod."""
    target: RunTarget | None
    """Where the run reports; None if the Job's template names no target."""
    start_time: datetime | None
    active: int
    ready: int
    failed: int
    succeeded: int
    conditions: tuple[Condition, ...]

    def annotation(self, key: str) -> str:
        """Return a kept annotation; empty if it is absent."""
        return self.annotations.get(key, "")

    def condition(self, *kinds: str) -> Condition | None:
        """Return the first True condition in the order of `kinds`, or None."""
        return next((found for kind in kinds for found in self.conditions if found.type == kind), None)

    def time(self, key: str) -> datetime | None:
        """Return an annotation as a time; None if it is absent or not a time."""
        return read_time(self.annotation(key))

    @property
    def has_finished(self) -> bool:
        """Whether the Job has finished, or its result is decided."""
        return self.condition("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget") is not None

    @property
    def age(self) -> tuple[datetime, str]:
        """Sort key, the oldest first."""
        return self.created, self.name


def read_cronjob(body: Mapping[str, Any]) -> CronJob:
    """Return the record of a CronJob."""
    metadata, spec = body["metadata"], body["spec"]
    template = spec.get("jobTemplate") or {}
    return CronJob(
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        uid=intern(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        generation=int(metadata.get("generation", 0)),
        created=created_at(body),
        is_deleting=is_deleting(body),
        owner=controller_of(body),
        labels={intern(key): intern(str(value)) for key, value in labels_of(body).items()},
        annotations=_annotations(body),
        schedule=intern(str(spec.get("schedule", ""))),
        time_zone=intern(str(spec.get("timeZone") or "")),
        is_suspended=bool(spec.get("suspend")),
        concurrency_policy=intern(str(spec.get("concurrencyPolicy", "Allow"))),
        starting_deadline_seconds=spec.get("startingDeadlineSeconds"),
        last_schedule_time=read_time((body.get("status") or {}).get("lastScheduleTime")),
        memory_limit=_memory_limit(template.get("spec") or {}),
        has_larger_memory_limits=constants.ANNOTATION_MEMORY_LIMITS in annotations_of(template),
    )


def read_job(body: Mapping[str, Any]) -> Job:
    """Return the record of a Job."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    labels, template_annotations = labels_of(body), annotations_of(spec.get("template") or {})
    run_id = template_annotations.get(constants.ANNOTATION_RUN_ID) or metadata["uid"]
    return Job(
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        uid=intern(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        created=created_at(body),
        is_deleting=is_deleting(body),
        owner=controller_of(body),
        pipeline=intern(labels.get(constants.LABEL_PIPELINE, "")),
        queue_name=intern(labels.get(constants.LABEL_QUEUE_NAME, "")),
        annotations=_annotations(body),
        run_id=str(run_id)[: constants.RUN_ID_LIMIT],
        is_suspended=bool(spec.get("suspend")),
        backoff_limit=int(spec.get("backoffLimit", 6)),
        deadline_seconds=spec.get("activeDeadlineSeconds"),
        memory_limit=_memory_limit(spec),
        target=_target_of(template_annotations.get(constants.ANNOTATION_RUN_INPUT, ""), spec),
        start_time=read_time(status.get("startTime")),
        active=int(status.get("active") or 0),
        ready=int(status.get("ready") or 0),
        failed=int(status.get("failed") or 0),
        succeeded=int(status.get("succeeded") or 0),
        conditions=true_conditions(body),
    )


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    found = {intern(key): str(value) for key, value in annotations_of(body).items() if key in _ANNOTATIONS}
    return found or _NO_ANNOTATIONS


def _memory_limit(job_spec: Mapping[str, Any]) -> str | None:
    limit = memory_limit_of((job_spec.get("template") or {}).get("spec") or {})
    return intern(limit) if limit is not None else None


def _target_of(run_input: str, job_spec: Mapping[str, Any]) -> RunTarget | None:
    volumes: Sequence[Mapping[str, Any]] = ((job_spec.get("template") or {}).get("spec") or {}).get("volumes") or []
    secret = next((v.get("secret") or {} for v in volumes if v.get("name") == _TOKEN_VOLUME), {})
    items = secret.get("items") or [{}]
    token_secret, token_key = str(secret.get("secretName", "")), str(items[0].get("key", ""))
    text = f"{run_input}\0{token_secret}\0{token_key}"
    digest = sha256(text.encode(errors="surrogatepass")).digest()  # the run input may have 200 KiB
    try:
        return _targets[digest]  # a single step: another thread may clear the cache
    except KeyError:
        pass
    target = _parse_target(run_input, token_secret, token_key)
    if len(_targets) >= _TARGETS_CACHED:
        _targets.clear()
    _targets[digest] = target
    return target


def _parse_target(run_input: str, token_secret: str, token_key: str) -> RunTarget | None:
    try:
        document = json.loads(run_input)
        return RunTarget.model_validate(
            {
                **{key: document["server"].get(key) for key in ("hostPort", "version", "verifySSL")},
                "tokenSecretRef": {"name": token_secret, "key": token_key} if token_secret else None,
                "service": document["service"],
                "fullyQualifiedName": document["fullyQualifiedName"],
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
