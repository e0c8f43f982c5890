"""Actions of a reconciliation on the Jobs of a pipeline, as data.

Policies return them; `reconcile.act` executes each, isolated from the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingestion_operator.k8s.objects import Body
from ingestion_operator.runs.jobs import Job


@dataclass(frozen=True, slots=True)
class PatchJob:
    """Merge annotations and fields of the spec into a Job, unless it has changed since the decision."""

    job: Job
    purpose: str
    """A verb for messages, such as `admit` or `stop`."""
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def patch(self) -> Body:
        """The merge patch. It has the resourceVersion, so that a Job that has changed causes a Conflict."""
        metadata: Body = {"resourceVersion": self.job.resource_version}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {"metadata": metadata} | ({"spec": dict(self.spec)} if self.spec else {})


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete a Job whose run is recorded, unless the Job has changed since the decision."""

    job: Job
    purpose: str


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """Change the memory limit of a suspended Job without pods and resume it.

    This needs the live Job, since the record does not have its template. If Kubernetes does not allow a change of the
    template, the run continues in a replacement Job.
    """

    job: Job
    memory: str


JobAction = PatchJob | DeleteJob | ResumeJob
