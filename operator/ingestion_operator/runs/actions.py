"""What a reconciliation does to the Jobs of a pipeline, as data.

A policy decides and returns these; `reconcile.act` carries them out, each isolated from the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingestion_operator.runs.jobs import Job


@dataclass(frozen=True, slots=True)
class PatchJob:
    """Merge annotations and fields of the spec into a Job, only as it was when this was decided."""

    job: Job
    purpose: str
    """A verb phrase for people, such as `admit it` or `end it`."""
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def patch(self) -> dict[str, Any]:
        """The merge patch. It carries the resourceVersion: a Job that has changed is decided about again."""
        metadata: dict[str, Any] = {"resourceVersion": self.job.resource_version}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {"metadata": metadata} | ({"spec": dict(self.spec)} if self.spec else {})


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete a Job whose run is recorded, only as it was when this was decided."""

    job: Job
    purpose: str


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """Give a suspended Job that has no pod another memory limit and resume it.

    It needs the live Job, since the record does not have its template. Where Kubernetes does not allow another
    template, the run continues in another Job.
    """

    job: Job
    memory: str


JobAction = PatchJob | DeleteJob | ResumeJob
