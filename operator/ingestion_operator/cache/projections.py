"""From an object as the API server returns it to the record that the cache keeps."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.k8s.naming import last_part, quoted_part
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import CronJob, Job, PipelineKey, created_at, read_cronjob, read_job, read_time
from ingestion_operator.runs.pods import Pod, read_pod

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_FASTEST: Final = 1
"""Level of compression: a second of processor time less for 5,000 pipelines than the usual one, a third larger."""


@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """An IngestionPipeline: what it is found by, and the whole object in compressed form."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: datetime
    is_deleting: bool
    full_name: str
    """Its fully qualified name in OpenMetadata."""
    bare_name: str
    """Its name in OpenMetadata without the service, which is all that a request of the server carries."""
    is_deployed: bool
    """Whether a deploy of the gateway made it; False for one that a user applied."""
    host_port: str
    """Base URL of its OpenMetadata server's API."""
    kill: str
    """The value of the annotation that asks for the end of runs; empty if it is absent."""
    spec_changed_at: datetime | None
    """When the spec was last written, to the second; None where the API server does not say."""
    spec_manager: str
    """Who wrote the spec last; empty where the API server does not say."""
    status_written_at: datetime | None
    """When the operator last changed the status, to the second; None where the API server does not say."""
    document: bytes
    """The object without managedFields and kubectl's copy of it, as compressed JSON."""

    @property
    def key(self) -> PipelineKey:
        """What the pipeline is reconciled by."""
        return PipelineKey(self.namespace, self.name)

    def body(self) -> dict[str, Any]:
        """Return the object, a new one at each call, with its apiVersion and kind."""
        found: dict[str, Any] = json.loads(zlib.decompress(self.document))
        return found


Record = PipelineRecord | CronJob | Job | Pod
Reader = Callable[[Mapping[str, Any]], Record]


def read_pipeline(body: Mapping[str, Any]) -> PipelineRecord:
    """Return the record of an IngestionPipeline as the API server returned it."""
    metadata, spec = body["metadata"], body["spec"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    name = metadata["name"]
    stated = str(spec.get("fullyQualifiedName") or "")
    service = str((spec.get("service") or {}).get("name") or "")
    is_deployed = labels.get(constants.LABEL_DEPLOYED_BY) == constants.DEPLOYED_BY
    entity_name = annotations.get(constants.ANNOTATION_ENTITY_NAME) if is_deployed else None
    changed_at, manager = _last_change_of_spec(metadata)
    return PipelineRecord(
        namespace=intern(metadata["namespace"]),
        name=name,
        uid=intern(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        generation=int(metadata.get("generation", 0)),
        created=created_at(metadata),
        is_deleting=bool(metadata.get("deletionTimestamp")),
        full_name=stated or f"{quoted_part(service)}.{quoted_part(name)}",
        bare_name=entity_name if entity_name is not None else last_part(stated) if stated else name,
        is_deployed=is_deployed,
        host_port=intern(str((spec.get("server") or {}).get("hostPort") or "")),
        kill=str(annotations.get(constants.ANNOTATION_KILL) or ""),
        spec_changed_at=changed_at,
        spec_manager=manager,
        status_written_at=_last_write_of_status(metadata),
        document=_compressed(body),
    )


READERS: Final[Mapping[Kind, Reader]] = {
    PIPELINES: read_pipeline,
    CRONJOBS: read_cronjob,
    JOBS: read_job,
    PODS: read_pod,
}
"""The kinds of objects that the cache holds."""


def _last_change_of_spec(metadata: Mapping[str, Any]) -> tuple[datetime | None, str]:
    entries = [one for one in metadata.get("managedFields") or [] if "f:spec" in (one.get("fieldsV1") or {})]
    newest: Mapping[str, Any] = max(reversed(entries), key=lambda one: str(one.get("time", "")), default={})
    return read_time(newest.get("time")), intern(str(newest.get("manager") or ""))


def _last_write_of_status(metadata: Mapping[str, Any]) -> datetime | None:
    entries = metadata.get("managedFields") or []
    times = [read_time(one.get("time")) for one in entries if one.get("manager") == constants.STATUS_FIELD_MANAGER]
    return max((time for time in times if time is not None), default=None)


def _compressed(body: Mapping[str, Any]) -> bytes:
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if _LAST_APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    # An item of a list does not always say what it is.
    kept = {**body, "apiVersion": PIPELINES.api_version, "kind": PIPELINES.kind, "metadata": metadata}
    return zlib.compress(json.dumps(kept, separators=(",", ":")).encode(), _FASTEST)
