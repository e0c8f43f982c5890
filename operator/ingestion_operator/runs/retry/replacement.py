"""The Job in which a run continues where Kubernetes does not let its Job have more memory; pure functions."""

from typing import Any, Final

from ingestion_operator import constants
from ingestion_operator.k8s.memory import with_memory
from ingestion_operator.k8s.naming import short_hash
from ingestion_operator.runs.jobs import Job, read_job

_STEM_LENGTH: Final = 54
"""A Job's name may have 63 characters; a hyphen and 8 of a hash follow."""

_OWN_LABELS: Final = frozenset({constants.LABEL_JOB_UID, "controller-uid", "batch.kubernetes.io/job-name", "job-name"})
"""Labels that the API server gives to a Job and its pods, with the Job's own name and UID."""

_OWN_ANNOTATIONS: Final = frozenset(
    {constants.ANNOTATION_NEXT_MEMORY_LIMIT, constants.ANNOTATION_REPLACED_BY, constants.ANNOTATION_STOP}
)
_OWN_FIELDS: Final = frozenset({"selector", "manualSelector", "suspend", "activeDeadlineSeconds"})


def successor_name(job: Job) -> str:
    """Return the name of the Job that follows `job`: the same each time, so that it is created once."""
    size = job.annotation(constants.ANNOTATION_NEXT_MEMORY_LIMIT)
    return f"{job.name[:_STEM_LENGTH].rstrip('-')}-{short_hash(job.uid + size)}"


def successor(body: dict[str, Any], memory: str) -> dict[str, Any]:
    """Return the Job to create: the same run under the same id, with `memory` and what is left of its attempts.

    `body` is the live Job, which must be suspended and have no pod; the new one takes its slot and has its owners.
    """
    job, metadata, spec = read_job(body), body["metadata"], body["spec"]
    template = spec["template"]
    annotations = _without(metadata.get("annotations") or {}, _OWN_ANNOTATIONS)
    pod_metadata = template.get("metadata") or {}
    owners = metadata.get("ownerReferences") or []
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": successor_name(job),
            "namespace": metadata["namespace"],
            "labels": _without(metadata.get("labels") or {}, _OWN_LABELS),
            # Admitted: it does not wait for a slot.
            "annotations": {constants.ANNOTATION_ADMITTED_AT: metadata["creationTimestamp"]} | annotations,
            # To block the deletion of an owner would take a right over the owner.
            "ownerReferences": [owner | {"blockOwnerDeletion": False} for owner in owners],
        },
        "spec": _without(spec, _OWN_FIELDS)
        | {
            "backoffLimit": max(0, job.backoff_limit - job.failed),
            "template": {
                "metadata": pod_metadata
                | {
                    "labels": _without(pod_metadata.get("labels") or {}, _OWN_LABELS),
                    "annotations": (pod_metadata.get("annotations") or {}) | {constants.ANNOTATION_RUN_ID: job.run_id},
                },
                "spec": template["spec"] | {"containers": with_memory(template["spec"]["containers"], memory)},
            },
        },
    }


def _without(entries: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if key not in keys}
