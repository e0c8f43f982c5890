"""Conversion of objects from the API server into the records of the cache."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.k8s.naming import last_part, quoted_part
from ingestion_operator.k8s.objects import Body, annotations_of, created_at, is_deleting, labels_of
from ingestion_operator.k8s.timestamps import read_time
from ingestion_operator.ports import CRONJOBS, JOBS, PIPELINES, PODS, Kind
from ingestion_operator.runs.jobs import CronJob, Job, PipelineKey, read_cronjob, read_job
from ingestion_operator.runs.pods import Pod, read_pod

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_FASTEST: Final = 1
"""Compression level: for 5,000 pipelines a second of CPU less than the default, and a third more memory."""


@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """An IngestionPipeline: its lookup fields, and the whole object in compressed form."""

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
    """Its name in OpenMetadata without the service, the only name in the server's requests."""
    is_deployed: bool
    """Whether the gateway deployed it; False if a user applied it."""
    host_port: str
    """Base URL of its OpenMetadata server's API."""
    kill: str
    """The value of the annotation `kill`; empty if it is absent."""
    spec_changed_at: datetime | None
    """When the spec was last written, to the second; None if unknown."""
    spec_manager: str
    """The field manager that last wrote the spec; empty if unknown."""
    status_written_at: datetime | None
    """When the operator last changed the status, to the second; None if unknown."""
    document: bytes
    """The object without managedFields and kubectl's last-applied annotation, as compressed JSON."""

    @property
    def key(self) -> PipelineKey:
        """The key of the pipeline in the work queue."""
        return PipelineKey(self.namespace, self.name)

    def body(self) -> Body:
        """Return the object with its apiVersion and kind, a new copy at each call."""
        found: Body = json.loads(zlib.decompress(self.document))
        return found


Record = PipelineRecord | CronJob | Job | Pod
Reader = Callable[[Mapping[str, Any]], Record]


def read_pipeline(body: Mapping[str, Any]) -> PipelineRecord:
    """Return the record of an IngestionPipeline."""
    metadata, spec = body["metadata"], body["spec"]
    labels, annotations = labels_of(body), annotations_of(body)
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
        created=created_at(body),
        is_deleting=is_deleting(body),
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
"""The kinds of the cache, each with the function that reads an object into a record."""


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
    if _LAST_APPLIED in annotations_of(body):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    # Items of a list may lack apiVersion and kind.
    kept = {**body, "apiVersion": PIPELINES.api_version, "kind": PIPELINES.kind, "metadata": metadata}
    return zlib.compress(json.dumps(kept, separators=(",", ":")).encode(), _FASTEST)
